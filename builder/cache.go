package builder

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/parcel"
)

// A cache is one of the task's whose content is not kept yet.
type cache struct {
	key   string // for people
	name  string // digest of all that its content depends on
	paths []string
}

// restoreCaches unpacks the caches that are kept under the task's keys, and notes
// those that are not. What goes wrong with a cache costs time and no more: the log
// says it. Only a key that cannot be expanded is the author's to mend.
func (t *attempt) restoreCaches(ctx context.Context, root *os.Root) error {
	for _, c := range t.given.Task.Caches {
		key, err := t.values.expand(c.Key, nil)
		if err != nil {
			return failed("the key of a cache: %v", err)
		}
		if t.given.Caches == "" || t.builder.Keeper == nil {
			t.journal.note(t.masker, "cache %s: not for this build", key)
			continue
		}
		err = t.restoreCache(ctx, root, c, key)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			t.journal.note(t.masker, "cache %s: %v", key, err)
		}
	}
	return nil
}

func (t *attempt) restoreCache(ctx context.Context, root *os.Root, c plan.Cache, key string) error {
	name, err := cacheName(ctx, root, c, key)
	if err != nil {
		return err
	}
	there, err := parcel.Choose(root, c.Paths, parcel.DefaultLimits().Files)
	if err != nil {
		return err
	}
	missing := cache{key: key, name: name, paths: c.Paths}
	if len(there) > 0 { // nobody wants to find older files in place of their own
		t.journal.note(t.masker, "cache %s: %s is there already", key, there[0])
		t.caches = append(t.caches, missing)
		return nil
	}
	var files int
	var size int64
	err = t.persist(ctx, func() (err error) {
		files, size, err = unpack(ctx, root, func() (io.ReadCloser, error) {
			return t.builder.Keeper.Cache(ctx, t.given, name)
		}, parcel.Cache)
		return err
	})
	if errors.Is(err, ErrNothingKept) {
		t.journal.note(t.masker, "cache %s: none is kept yet", key)
		t.caches = append(t.caches, missing)
		return nil
	}
	if err != nil {
		return fmt.Errorf("not restored: %w", err)
	}
	t.journal.note(t.masker, "cache %s: restored, %s", key, amount(files, size))
	return nil
}

// saveCaches keeps the caches that there were none of.
func (t *attempt) saveCaches(ctx context.Context, root *os.Root) {
	for _, c := range t.caches {
		if !t.given.CacheWrite {
			t.journal.note(t.masker, "cache %s: not kept: only builds of protected refs may, such as the default branch", c.key)
			continue
		}
		err := t.packFiles(ctx, root, c.paths, parcel.Cache, func(p Pack) error {
			if len(p.Files) == 0 {
				return fmt.Errorf("no file matches %s", strings.Join(c.paths, ", "))
			}
			size := p.Size
			p.Files = nil // only artifacts are listed
			err := t.persist(ctx, func() error { return t.builder.Keeper.KeepCache(ctx, t.given, c.name, p) })
			if err == nil {
				t.journal.note(t.masker, "cache %s: kept, %d bytes packed", c.key, size)
			}
			return err
		})
		if err != nil {
			t.journal.note(t.masker, "cache %s: not kept: %v", c.key, because(ctx, err))
		}
	}
}

// cacheName is the digest of all that a cache's content depends on: the key, the
// files that it names, what it holds, and the machine that it is of. The
// repository and who may write it are the Keeper's to add.
func cacheName(ctx context.Context, root *os.Root, c plan.Cache, key string) (string, error) {
	sum := sha256.New()
	words := func(s ...string) {
		for _, word := range s {
			_ = binary.Write(sum, binary.BigEndian, uint64(len(word))) // a hash never fails
			sum.Write([]byte(word))
		}
	}
	words("velocity/1 cache", runtime.GOOS, runtime.GOARCH, key)
	words(strconv.Itoa(len(c.Paths)))
	words(c.Paths...)
	names, err := parcel.Choose(root, c.Files, parcel.DefaultLimits().Files)
	if err != nil {
		return "", fmt.Errorf("files: %w", err)
	}
	for _, name := range names {
		content := sha256.New()
		regular, err := digest(ctx, root, name, content)
		if err != nil {
			return "", fmt.Errorf("files: %w", err)
		}
		if regular {
			words(name, hex.EncodeToString(content.Sum(nil)))
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// digest adds the content of a regular file.
func digest(ctx context.Context, root *os.Root, name string, to hash.Hash) (regular bool, err error) {
	info, err := root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return false, err
	}
	f, err := root.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	_, err = io.Copy(to, f)
	return true, errors.Join(err, ctx.Err())
}
