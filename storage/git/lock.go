package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// ownFolder is our folder in the git folder.
const ownFolder = "velocity"

// packsLock guards packs whose refs are not written yet: a writer shares it from
// pack to ref, upkeep needs it alone to delete packs.
const packsLock = "packs.lock"

// lockPacks takes the packs lock; how is syscall.LOCK_SH or LOCK_EX. The kernel
// frees it when a process dies.
func (r *Repository) lockPacks(ctx context.Context, how int) (unlock func(), err error) {
	return r.waitLock(ctx, packsLock, how)
}

// Lock takes one of our locks alone, as soon as it is free; name is that of a file of
// ours. The kernel frees it when the process dies.
func (r *Repository) Lock(ctx context.Context, name string) (unlock func(), err error) {
	return r.waitLock(ctx, name, syscall.LOCK_EX)
}

// waitLock takes one of our locks as soon as it is free.
func (r *Repository) waitLock(ctx context.Context, name string, how int) (unlock func(), err error) {
	for {
		unlock, err := r.flock(name, how)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return unlock, err
		}
		if err := r.sleep(ctx, jitter()); err != nil {
			return nil, fmt.Errorf("wait for %s: %w", name, err)
		}
	}
}

// flock takes one of our locks or fails with EWOULDBLOCK when it is taken.
func (r *Repository) flock(name string, how int) (unlock func(), err error) {
	dir := filepath.Join(r.commonDir, ownFolder)
	if err := r.disk.folder(dir); err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	file, err := r.OpenShared(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	if err := syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), file.Close())
	}
	return func() {
		// Closing alone would leave it to a child that is just being started: it
		// has the file open until it runs its program. Neither can fail usefully.
		_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN)
		_ = file.Close()
	}, nil
}

// lockPatience bounds the wait for a lock file of git's protocol. It outlasts
// any single update and most runs of pack-refs; what is held longer is stale.
const lockPatience = 10 * time.Second

// heldError names a lock file that stayed in the way.
type heldError struct{ Path string }

func (e *heldError) Error() string {
	return fmt.Sprintf("%s exists: another git process holds it, or one died and left it; remove it if none is running", e.Path)
}

// untilFree calls create until it does not find the lock file there, waiting a
// little longer than git does.
func (r *Repository) untilFree(ctx context.Context, path string, create func() error) error {
	for waited := time.Duration(0); ; {
		err := create()
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		if waited >= lockPatience {
			return &heldError{Path: path}
		}
		pause := jitter()
		if err := r.sleep(ctx, pause); err != nil {
			return fmt.Errorf("wait for %s: %w", path, err)
		}
		waited += pause
	}
}

// oursMark marks packed-refs.lock and .keep files as ours; git's are empty.
const oursMark = "velocity\n"

// StaleLocks lists lock files of refs below the given prefixes that are older
// than olderThan at now, which is compared with the file system's clock, and a
// packed-refs.lock of ours. To remove them is safe while no other writer of these
// refs is alive.
func (r *Repository) StaleLocks(prefixes []string, olderThan time.Duration, now time.Time) ([]string, error) {
	var locks []string
	for _, prefix := range prefixes {
		if !strings.HasPrefix(prefix, "refs/") || strings.Contains(prefix, "..") {
			return nil, fmt.Errorf("look for stale locks: prefix %.80q is not below refs/", prefix)
		}
		err := r.walkRefs(prefix, func(name string, _ fs.DirEntry) error {
			if strings.HasSuffix(name, ".lock") {
				locks = append(locks, filepath.Join(r.commonDir, name))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if path := filepath.Join(r.commonDir, packedRefsLock); isOurs(path) {
		locks = append(locks, path)
	}
	temps, err := filepath.Glob(filepath.Join(escapeGlob(r.commonDir), ownFolder, lockTemp))
	if err != nil {
		return nil, fmt.Errorf("look for stale locks: %w", err)
	}
	return slices.DeleteFunc(append(locks, temps...), func(path string) bool {
		info, err := os.Stat(path)
		return err != nil || now.Sub(info.ModTime()) < olderThan // gone meanwhile, or in use
	}), nil
}

// escapeGlob makes a path a pattern that matches only itself.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// isOurs reports whether the file at path holds our mark.
func isOurs(path string) bool {
	data, err := os.ReadFile(path)
	return err == nil && string(data) == oursMark
}
