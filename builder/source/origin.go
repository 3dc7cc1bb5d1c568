package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/velocity-ci/velocity/storage/git"
)

// An origin is a repository that commits are checked out from: one on this
// machine, or the mirror of one elsewhere.
type origin struct {
	name string // the path or URL, as it may be shown

	// open returns the repository as it is, or nil if there is none yet and fetch
	// will make it.
	open func(ctx context.Context) (*git.Repository, error)
	// fetch brings the mirror up to date, or the commit alone; nil where there is
	// nothing to fetch.
	fetch func(ctx context.Context, commit git.Hash, password string) (*git.Repository, error)

	dir  string          // of the mirror, "" where there is none
	uses int             // attempts that look at it or borrow from it; Fresh.mu guards it
	turn chan struct{}   // holds a token while somebody looks or fetches
	repo *git.Repository // nil until it was opened
}

// origin returns the one origin that a repository has here. It stays until release
// is called as often.
func (f *Fresh) origin(repository string) *origin {
	if filepath.IsAbs(repository) {
		return f.shared(repository, local)
	}
	return f.shared(repository, f.mirror)
}

// shared is the one origin that all who come with an equal address use.
func (f *Fresh) shared(address string, begin func(address string) *origin) *origin {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o, ok := f.origins[address]; ok {
		o.uses++
		return o
	}
	o := begin(address)
	o.uses, o.turn = 1, make(chan struct{}, 1)
	if f.origins == nil {
		f.origins = map[string]*origin{}
	}
	f.origins[address] = o
	return o
}

func local(path string) *origin {
	return &origin{
		name: path,
		open: func(ctx context.Context) (*git.Repository, error) { return git.Open(ctx, path) },
	}
}

// fetchUser is the user to whom an attempt's password belongs.
const fetchUser = "attempt"

func (f *Fresh) mirror(address string) *origin {
	o := f.kept(address)
	o.name = redacted(address)
	o.fetch = func(ctx context.Context, commit git.Hash, password string) (*git.Repository, error) {
		options := f.Fetch
		options.Commit = commit // of a pull request it is on no branch
		if password != "" {
			options.Credential = git.NewCredential(fetchUser, password)
		}
		return f.fetched(ctx, func() (*git.Repository, error) { return git.FetchMirror(ctx, address, o.dir, options) })
	}
	return o
}

// kept is an origin whose repository is ours, in a folder that the key names.
func (f *Fresh) kept(key string) *origin {
	sum := sha256.Sum256([]byte(key))
	dir := filepath.Join(f.Mirrors, hex.EncodeToString(sum[:8])+".git")
	return &origin{
		dir: dir,
		open: func(ctx context.Context) (*git.Repository, error) {
			// Looked for here, since Open would go on to look above dir.
			if _, err := os.Stat(filepath.Join(dir, "HEAD")); errors.Is(err, fs.ErrNotExist) {
				return nil, nil
			}
			return git.Open(ctx, dir)
		},
	}
}

// fetched does a fetch and what belongs before and after it.
func (f *Fresh) fetched(ctx context.Context, fetch func() (*git.Repository, error)) (*git.Repository, error) {
	if err := os.MkdirAll(f.Mirrors, 0o700); err != nil {
		return nil, fmt.Errorf("make mirror: %w", err)
	}
	repo, err := fetch()
	if err == nil {
		f.maintain(ctx, repo)
	}
	return repo, err
}

// maintain looks after a mirror while the attempt that has fetched goes on. It may
// outlast the attempt, for which it is too long, and the process, since git ends
// what it has begun; that it fails costs time, and the next fetch tries again.
func (f *Fresh) maintain(ctx context.Context, mirror *git.Repository) {
	ctx = context.WithoutCancel(ctx)
	f.upkeep.Go(func() { _ = mirror.Maintain(ctx, f.Now()) })
}

// redacted is an address without the password that should not have been in it.
func redacted(address string) string {
	if u, err := url.Parse(address); err == nil && u.User != nil {
		return u.Redacted()
	}
	return address
}

// with returns the repository once it has the commit. One caller at a time looks
// and, if need be, fetches; the next finds what that brought.
func (o *origin) with(ctx context.Context, commit git.Hash, password string) (*git.Repository, error) {
	select {
	case o.turn <- struct{}{}:
		defer func() { <-o.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	has, err := o.has(ctx, commit)
	if err == nil && !has && o.fetch != nil {
		if o.repo, err = o.fetch(ctx, commit, password); err == nil {
			has, err = o.has(ctx, commit)
		}
	}
	if err == nil && !has {
		err = fmt.Errorf("commit %s is not in %s: %w", commit, o.name, ErrGone)
	}
	return o.repo, err
}

// present returns the repository as it is here.
func (o *origin) present(ctx context.Context) (*git.Repository, error) {
	select {
	case o.turn <- struct{}{}:
		defer func() { <-o.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	err := o.look(ctx)
	if err == nil && o.repo == nil {
		err = fmt.Errorf("there is no mirror of %s any more: %w", o.name, ErrGone)
	}
	return o.repo, err
}

// look opens the repository unless it was opened. The caller has the turn.
func (o *origin) look(ctx context.Context) (err error) {
	if o.repo == nil {
		o.repo, err = o.open(ctx)
	}
	return err
}

// has reports whether the commit is here. The caller has the turn.
func (o *origin) has(ctx context.Context, commit git.Hash) (bool, error) {
	if err := o.look(ctx); err != nil || o.repo == nil {
		return false, err
	}
	_, err := o.repo.Commit(commit)
	if errors.Is(err, git.ErrObjectNotFound) {
		return false, nil
	}
	return err == nil, err
}
