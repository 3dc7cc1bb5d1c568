// Package source finds the files that an attempt works on: a fresh checkout of
// its commit, from a repository on this machine or a mirror of one elsewhere, or
// the user's own work tree.
//
// A checkout borrows the objects of where it came from and changes nothing
// there. Submodules are the exception: they come from the network only, from few
// servers, and are whole copies, each with a .git folder of its own. Whoever sees the workspace also needs to see Workspace.ReadOnly, at the
// same paths, or its .git is of no use.
package source

import (
	"context"
	"errors"
	"path/filepath"
	"sync"

	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/git"
)

var (
	// ErrGone says that a commit is no longer where it was said to be: trying
	// again will not bring it back.
	ErrGone = errors.New("it is gone")
	// ErrSubmodules says that the submodules which a task asks for cannot be had:
	// they are not for this builder, or their commit says something that is refused.
	ErrSubmodules = git.ErrSubmodules
)

// A Request says which files an attempt needs.
type Request struct {
	Name       string // of the attempt, unique and fit for a file name
	Repository string // an absolute path on this machine, or a URL
	Commit     plan.Commit
	Depth      int // commits of the history in a fresh checkout; 0 is all

	Submodules bool     // the task wants them
	Origin     string   // where people fetch the repository, as Address has it; "" is not known
	Hosts      []string // from where submodules may come beside Origin's, as CheckHost accepts them

	// Password is shown to the Repository's server, if that asks for one; "" is none.
	Password string
	// Own gives the workspace its own copy of all it refers to, for code that must
	// not read what else the mirror holds.
	Own bool
}

// A Workspace is where an attempt's steps run.
type Workspace struct {
	Dir      string   // absolute
	ReadOnly []string // absolute directories outside Dir that its .git refers to
}

// InPlace gives every attempt the same existing directory, as it is. What steps
// change there stays. It is safe for concurrent use.
type InPlace struct {
	Dir string // absolute; the root of a work tree

	once     sync.Once
	readOnly []string
	err      error
}

// Open returns the directory; closing it does nothing.
func (p *InPlace) Open(ctx context.Context, _ Request) (Workspace, func() error, error) {
	p.once.Do(func() { p.readOnly, p.err = outside(ctx, p.Dir) })
	return Workspace{Dir: p.Dir, ReadOnly: p.readOnly}, func() error { return nil }, p.err
}

// Reopen returns the directory, like Open.
func (p *InPlace) Reopen(ctx context.Context, want Request) (Workspace, func() error, error) {
	return p.Open(ctx, want)
}

// Reap does nothing: an attempt leaves nothing of the builder's in the directory.
func (p *InPlace) Reap(context.Context, func(string) bool) error { return nil }

// outside lists what the .git of a work tree refers to beyond the tree itself:
// the main repository of a linked work tree, and borrowed objects.
func outside(ctx context.Context, dir string) ([]string, error) {
	repo, err := git.Open(ctx, dir)
	if err != nil {
		return nil, err
	}
	objects, err := objectDirs(repo)
	if err != nil {
		return nil, err
	}
	if rel, err := filepath.Rel(dir, repo.CommonDir()); err == nil && filepath.IsLocal(rel) {
		return objects[1:], nil // the first is within the tree
	}
	return append([]string{repo.CommonDir()}, objects[1:]...), nil
}
