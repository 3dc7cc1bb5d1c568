package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/velocity-ci/velocity/storage/git"
)

// Fresh gives every attempt a checkout of its own, which is removed when it is
// closed. A repository on this machine is borrowed from directly; of one
// elsewhere a mirror is kept and fetched into only when a commit is missing. It
// is safe for concurrent use; its fields are set before and not changed after.
type Fresh struct {
	Mirrors string           // directory of this builder alone, made when needed
	Work    string           // directory of this builder alone, made when needed
	Fetch   git.FetchOptions // of mirrors
	Now     func() time.Time // for the upkeep of mirrors
	Limit   int64            // bytes that mirrors may take while none of them is needed; 0 is no limit

	upkeep  sync.WaitGroup
	mu      sync.Mutex
	origins map[string]*origin
}

// Open checks the commit out. The directory around Workspace.Dir belongs to the
// attempt alone, too.
//
// Errors: ErrGone, ErrSubmodules; others are the machine's or the network's.
func (f *Fresh) Open(ctx context.Context, want Request) (Workspace, func() error, error) {
	hash, err := git.ParseHash(string(want.Commit))
	if err != nil {
		return Workspace{}, nil, err
	}
	from := f.origin(want.Repository)
	ws, err := f.open(ctx, from, hash, want)
	return f.lend(ws, from, err)
}

// Reopen finds the checkout that an earlier process made for the equal request.
func (f *Fresh) Reopen(ctx context.Context, want Request) (Workspace, func() error, error) {
	from := f.origin(want.Repository)
	ws, err := f.reopen(ctx, from, want)
	return f.lend(ws, from, err)
}

// lend returns the workspace, or the origin at once if there is none.
func (f *Fresh) lend(ws Workspace, from *origin, err error) (Workspace, func() error, error) {
	if err != nil {
		return Workspace{}, nil, errors.Join(err, f.release(from))
	}
	room := filepath.Dir(ws.Dir)
	return ws, func() error { return errors.Join(remove(room), f.release(from)) }, nil
}

func (f *Fresh) reopen(ctx context.Context, from *origin, want Request) (Workspace, error) {
	ws := Workspace{Dir: filepath.Join(f.Work, want.Name, "src")}
	if _, err := os.Stat(ws.Dir); err != nil {
		return Workspace{}, fmt.Errorf("find the workspace again: %w", err)
	}
	if want.Own {
		return ws, nil
	}
	repo, err := from.present(ctx)
	if err == nil {
		ws.ReadOnly, err = objectDirs(repo)
	}
	return ws, err
}

func (f *Fresh) open(ctx context.Context, from *origin, hash git.Hash, want Request) (Workspace, error) {
	repo, err := from.with(ctx, hash, want.Password)
	if err != nil {
		return Workspace{}, err
	}
	modules := &submodules{fresh: f, want: want}
	parts, err := modules.first(ctx, repo, hash)
	if err != nil {
		return Workspace{}, err
	}
	room := filepath.Join(f.Work, want.Name)
	if err := makeRoom(room); err != nil {
		return Workspace{}, fmt.Errorf("make workspace: %w", err)
	}
	ws := Workspace{Dir: filepath.Join(room, "src")}
	if !want.Own {
		ws.ReadOnly, err = objectDirs(repo)
	}
	if err == nil {
		err = repo.CheckoutDepth(ctx, ws.Dir, hash, want.Depth, want.Own)
	}
	if err == nil {
		err = modules.place(ctx, ws.Dir, parts, 1)
	}
	if err != nil {
		return Workspace{}, errors.Join(err, remove(room))
	}
	return ws, nil
}

// Reap removes the workspaces of requests for whose name running is false, such
// as those that an earlier process left. Mirrors stay.
func (f *Fresh) Reap(_ context.Context, running func(name string) bool) error {
	entries, err := os.ReadDir(f.Work)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if !running(e.Name()) {
			err = errors.Join(err, remove(filepath.Join(f.Work, e.Name())))
		}
	}
	return err
}

// makeRoom makes an empty directory that nobody else may enter.
func makeRoom(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	if err := remove(dir); err != nil { // of a process that died
		return err
	}
	return os.Mkdir(dir, 0o700)
}

// remove deletes a directory and what is in it, also where a step took its own
// right to do so away, as Go does with its module cache.
func remove(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o700) // RemoveAll reports what could not be helped
		}
		return nil
	})
	return errors.Join(err, os.RemoveAll(dir))
}
