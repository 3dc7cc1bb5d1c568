package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/velocity-ci/velocity/storage/git"
)

const (
	maxNesting    = 5   // submodules within submodules
	maxSubmodules = 100 // of one workspace
)

// submodules are those of one workspace.
type submodules struct {
	fresh *Fresh
	want  Request
	top   address // of the workspace's own repository; zero if it is not known
	count int
}

// A part is a submodule that may be fetched.
type part struct {
	path   string
	commit git.Hash
	from   address
}

// first lists the submodules of the workspace's own commit, without any fetch.
func (m *submodules) first(ctx context.Context, repo *git.Repository, commit git.Hash) ([]part, error) {
	if !m.want.Submodules {
		return nil, nil
	}
	_, err := repo.Entry(commit, ".gitmodules")
	if err == nil && m.want.Own {
		return nil, fmt.Errorf("%w: commit %s has a .gitmodules, and submodules are not fetched for untrusted code", ErrSubmodules, commit)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for submodules: %w", err)
	}
	if m.want.Origin != "" {
		if m.top, err = parseAddress(m.want.Origin); err != nil {
			return nil, fmt.Errorf("read the address of the repository: %w", err)
		}
	}
	return m.parts(ctx, repo, commit, m.top, 1)
}

// parts lists the submodules of a commit at some depth, each from where it may
// come. One that is refused refuses all.
func (m *submodules) parts(ctx context.Context, repo *git.Repository, commit git.Hash, base address, depth int) ([]part, error) {
	found, err := repo.Submodules(ctx, commit)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	if depth > maxNesting {
		return nil, fmt.Errorf("%w: they are nested more than %d deep", ErrSubmodules, maxNesting)
	}
	if m.count += len(found); m.count > maxSubmodules {
		return nil, fmt.Errorf("%w: there are more than %d", ErrSubmodules, maxSubmodules)
	}
	parts := make([]part, 0, len(found))
	for _, s := range found {
		from, err := resolve(base, s.URL)
		if err != nil {
			return nil, fmt.Errorf("%w: the url of %q in .gitmodules is refused: %w", ErrSubmodules, s.Path, err)
		}
		if err := m.allowed(from); err != nil {
			return nil, fmt.Errorf("%w: the url of %q in .gitmodules is refused: %w", ErrSubmodules, s.Path, err)
		}
		parts = append(parts, part{path: s.Path, commit: s.Commit, from: from})
	}
	return parts, nil
}

// allowed asks for the servers of the workspace's own repository, at any depth: a
// submodule does not bring servers of its own.
func (m *submodules) allowed(from address) error {
	if from.allowed(m.top, m.want.Hosts) {
		return nil
	}
	own := "the repository's own is not known"
	if m.top.host != "" {
		own = "the repository's own is " + m.top.server()
	}
	return fmt.Errorf("submodules may not come from %s: %s, and the server's configuration of the repository does not list it under submodules",
		from.server(), own)
}

// place fetches the parts and checks them out below dir, and theirs within them.
func (m *submodules) place(ctx context.Context, dir string, parts []part, depth int) error {
	for _, p := range parts {
		if err := m.placeOne(ctx, filepath.Join(dir, filepath.FromSlash(p.path)), p, depth); err != nil {
			return fmt.Errorf("submodule %q from %s: %w", p.path, p.from, err)
		}
	}
	return nil
}

func (m *submodules) placeOne(ctx context.Context, dir string, p part, depth int) (err error) {
	from := m.fresh.submodule(p.from)
	defer func() { err = errors.Join(err, m.fresh.release(from)) }() // it is copied from, never borrowed
	repo, err := from.with(ctx, p.commit, "")
	if err != nil {
		return err
	}
	within, err := m.parts(ctx, repo, p.commit, p.from, depth+1)
	if err != nil {
		return err
	}
	if err := straight(dir, m.fresh.Work); err != nil {
		return err
	}
	if err := repo.CheckoutDepth(ctx, dir, p.commit, 1, true); err != nil {
		return err
	}
	return m.place(ctx, dir, within, depth+1)
}

// straight refuses a folder below top that is reached through a link. What git
// checks out has none on the way to a submodule; this is the last to look.
func straight(dir, top string) error {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return fmt.Errorf("find the folder: %w", err)
	}
	begin, err := filepath.EvalSymlinks(top)
	if err != nil {
		return fmt.Errorf("find the folder: %w", err)
	}
	rel, err := filepath.Rel(top, dir)
	if err != nil || filepath.Join(begin, rel) != real {
		return fmt.Errorf("%w: %s is a symbolic link on the way", ErrSubmodules, dir)
	}
	return nil
}

// submodule is the cache of single commits that are fetched from an address
// without a password. It is never the mirror of that address: what was fetched
// there with an attempt's password is not for those who have none.
func (f *Fresh) submodule(from address) *origin {
	return f.shared("submodule "+from.String(), func(key string) *origin {
		o := f.kept(key)
		o.name = from.String()
		o.fetch = func(ctx context.Context, commit git.Hash, _ string) (*git.Repository, error) {
			return f.fetched(ctx, func() (*git.Repository, error) {
				repo, err := git.FetchCommit(ctx, from.String(), o.dir, commit)
				if err != nil {
					err = fmt.Errorf("%w (no password is shown: what is not public has to come over ssh, with a key file of the builder's user)", err)
				}
				return repo, err
			})
		}
		return o
	})
}
