package git

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // the sum that git's formats end with
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Incomplete walks all that the tips lead to and returns git's complaint about
// what is missing, "" if nothing is. It does not read the content of files.
func (r *Repository) Incomplete(ctx context.Context, tips ...Hash) (complaint string, err error) {
	var stdin bytes.Buffer
	for _, h := range tips {
		fmt.Fprintf(&stdin, "%s\n", h)
	}
	_, err = r.run(ctx, command{args: []string{"rev-list", "--objects", "--quiet", "--stdin"}, stdin: &stdin})
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		return err.Error(), nil
	}
	return "", err
}

// PackDamage says what is wrong with a pack.
type PackDamage int

// In the order in which they are looked for.
const (
	NoIndex  PackDamage = iota + 1 // the index is missing
	BadPack                        // the pack is not what was written
	BadIndex                       // the index is not what was written, or of another pack
)

// A DamagedPack is a pack that cannot be read as it is.
type DamagedPack struct {
	Path   string // of the .pack file
	Damage PackDamage
	// Sound says that the pack itself is as it was written: IndexPack makes a new
	// index of it.
	Sound bool
}

// DamagedPacks reads Velocity's packs with their indexes, and lists those whose
// sums are wrong; also any pack without an index, ours or not.
func (r *Repository) DamagedPacks(ctx context.Context) ([]DamagedPack, error) {
	paths, err := filepath.Glob(filepath.Join(escapeGlob(r.packFolder()), "pack-*.pack"))
	if err != nil {
		return nil, fmt.Errorf("look for damaged packs: %w", err)
	}
	var damaged []DamagedPack
	for _, path := range paths {
		base := strings.TrimSuffix(path, ".pack")
		_, missing := os.Stat(base + ".idx")
		if missing == nil && !isOurs(base+".keep") {
			continue // git's to check
		}
		d := DamagedPack{Path: path}
		if err := d.examine(base, missing != nil); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue // merged meanwhile
			}
			return nil, fmt.Errorf("look for damaged packs: %w", err)
		}
		if d.Damage != 0 {
			damaged = append(damaged, d)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return damaged, nil
}

// examine compares the sums at the end of the pack and of its index.
func (d *DamagedPack) examine(base string, noIndex bool) error {
	sum, sound, err := sumOf(d.Path)
	if err != nil {
		return err
	}
	switch d.Sound = sound; {
	case noIndex:
		d.Damage = NoIndex
		return nil
	case !sound:
		d.Damage = BadPack
		return nil
	}
	index, err := os.ReadFile(base + ".idx")
	if err != nil {
		return err
	}
	body := len(index) - hashSize
	if own := sha1.Sum(index[:max(body, 0)]); body < hashSize || !bytes.Equal(own[:], index[body:]) || //nolint:gosec // see above
		!bytes.Equal(sum, index[body-hashSize:body]) {
		d.Damage = BadIndex
	}
	return nil
}

// sumOf returns the sum that a pack ends with, and whether it is right.
func sumOf(path string) (sum []byte, right bool, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || info.Size() < 2*hashSize {
		return nil, false, err
	}
	digest := sha1.New() //nolint:gosec // see above
	if _, err := io.CopyN(digest, file, info.Size()-hashSize); err != nil {
		return nil, false, err
	}
	sum, err = io.ReadAll(file)
	return sum, bytes.Equal(digest.Sum(nil), sum), err
}

// IndexPack makes the index of a pack anew, durably. It fails if the pack is not
// sound; nothing has changed then.
func (r *Repository) IndexPack(ctx context.Context, path string) error {
	temp, err := os.MkdirTemp(filepath.Join(r.commonDir, ownFolder), packTemp)
	if err != nil {
		return fmt.Errorf("index pack: %w", err)
	}
	defer func() { _ = os.RemoveAll(temp) }() // what stays, a sweep removes
	index := strings.TrimSuffix(path, ".pack") + ".idx"
	// git would look into the index that is there, and trip over it.
	old := filepath.Join(temp, "old.idx")
	if err := os.Rename(index, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("index pack: %w", err)
	}
	made, err := r.makeIndex(ctx, temp, path)
	if err != nil {
		if back := os.Rename(old, index); !errors.Is(back, fs.ErrNotExist) {
			err = errors.Join(err, back)
		}
		return fmt.Errorf("index pack: %w", err)
	}
	if err := r.disk.rename(made, index); err != nil {
		return fmt.Errorf("index pack: %w", err)
	}
	r.objects.forget()
	return r.disk.syncFolder(filepath.Dir(index))
}

// forget drops what is known of packs: one of them has another index now.
func (s *objectStore) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.folders, s.packs = nil, nil
}
