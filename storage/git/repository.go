// Package git is the one package that touches git: objects, packs, refs that
// move only from an expected old value, notes, fetches and checkouts.
//
// It promises durability. Write returns nil only once the objects and the refs
// would survive a power cut; a ref never points to an object that is not on
// disk. Neither stock git nor go-git promises either, so refs and the order of
// writes are our own code, go-git encodes and decodes, and the git binary does
// what it does best: check out, fetch, repack, describe. No other package may
// run it; here it runs with a fixed environment, and nothing from a repository
// becomes an option of its command line.
//
// It leaves out what the objects mean: builds, triggers and note lines belong to
// package storage.
package git

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"time"
)

// A Repository is a git repository on the local disk. It is safe for concurrent
// use, in this process and beside others, git's own included.
type Repository struct {
	gitDir    string // this work tree's own: HEAD and index
	commonDir string // objects and refs, shared by linked work trees
	workTree  string // empty when bare
	format    format
	safe      string // what the user's safe.directory declares, for our git calls

	objects *objectStore
	disk    disk
	sleep   func(context.Context, time.Duration) error
	asking  chan struct{} // has whoever asks git what an expression means
}

// Open finds the repository that path belongs to, as git does: path itself when
// bare or a .git folder, else the nearest folder above that has a .git folder or
// file. It starts no process and reads no pack unless the repository belongs to
// someone else.
//
// Errors: ErrNotRepository, ErrUnsupported, *OwnerError.
func Open(ctx context.Context, path string) (*Repository, error) {
	found, err := discover(path)
	if err != nil {
		return nil, err
	}
	form, err := readFormat(filepath.Join(found.commonDir, "config"))
	if err != nil {
		return nil, err
	}
	safe, err := checkOwner(ctx, found)
	if err != nil {
		return nil, err
	}
	if form.bare && found.gitFile == "" { // a bare one may have linked work trees
		found.workTree = ""
	}
	r := &Repository{
		gitDir:    found.gitDir,
		commonDir: found.commonDir,
		workTree:  found.workTree,
		format:    form,
		safe:      safe,
		disk:      disk{shared: form.shared},
		sleep:     sleep,
		asking:    make(chan struct{}, 1),
	}
	r.objects = newObjectStore(filepath.Join(r.commonDir, "objects"), r.pauseRead)
	r.objects.mend = r.Reindex
	return r, nil
}

// pauseRead waits between two tries of a read, which is short and takes no context.
func (r *Repository) pauseRead(d time.Duration) {
	_ = r.sleep(context.Background(), d)
}

// CommonDir is the absolute folder of objects and refs, shared by all work trees
// of the repository. Files of ours that are not git's live in its folder velocity.
func (r *Repository) CommonDir() string { return r.commonDir }

// WorkTree is the absolute folder of checked out files, or "" when bare.
func (r *Repository) WorkTree() string { return r.workTree }

// sleep waits for d or for the end of ctx, whichever is first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// jitter spreads the retries of writers that collided once: 1 to 20 ms.
func jitter() time.Duration {
	return time.Millisecond + rand.N(19*time.Millisecond)
}
