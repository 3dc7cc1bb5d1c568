package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/builder/parcel"
	"github.com/velocity-ci/velocity/storage/blob"
	"github.com/velocity-ci/velocity/storage/git"
)

// envBlobs is the variable that names where artifacts and caches are.
const envBlobs = "VELOCITY_BLOBS_URL"

// blobsFolder is where they are within a repository if nothing else is said.
func blobsFolder(repo *git.Repository) string { return filepath.Join(folderOf(repo), "blobs") }

// openBlobs opens what is kept for the builds of a store at an address, or in the
// repository if that is "". Unless it shall be made, a folder that is not there is
// blob.ErrNone.
func (c *cli) openBlobs(ctx context.Context, repo *git.Repository, address, store string, anew bool) (*blob.Store, error) {
	if address == "" {
		address = blobsFolder(repo)
		if anew {
			if err := repo.MakeFolder(address); err != nil {
				return nil, fmt.Errorf("make a folder for artifacts and caches: %w", err)
			}
		}
		if _, err := os.Stat(address); errors.Is(err, fs.ErrNotExist) {
			return nil, blob.ErrNone
		}
	}
	return blob.Open(ctx, address, store, repo, c.clock)
}

// shelves are what is kept for the repositories of this process, each opened when
// it is first asked for.
type shelves struct {
	c       *cli
	address string // "" for a folder in each repository

	mu    sync.Mutex
	repos map[string]*git.Repository // by store
	open  map[string]*blob.Store     // by store
}

func newShelves(c *cli, address string) *shelves {
	return &shelves{c: c, address: address, repos: map[string]*git.Repository{}, open: map[string]*blob.Store{}}
}

// anyStore stands for the store of a process that has one repository.
const anyStore = ""

// add makes the repository of a store known.
func (s *shelves) add(store string, repo *git.Repository) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repos[store] = repo
}

// of opens what is kept for the repository of a build.
func (s *shelves) of(ctx context.Context, id build.ID) (*blob.Store, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.open[id.Store]; have != nil {
		return have, nil
	}
	repo := cmp.Or(s.repos[id.Store], s.repos[anyStore])
	if repo == nil {
		return nil, fmt.Errorf("artifacts of build %s: its repository is not served here", id)
	}
	// It outlives the one who asks first.
	store, err := s.c.openBlobs(context.WithoutCancel(ctx), repo, s.address, id.Store, true)
	if err != nil {
		return nil, err
	}
	s.open[id.Store] = store
	return store, nil
}

// drop closes what was opened for a store and forgets its repository.
func (s *shelves) drop(store string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := s.open[store]
	delete(s.open, store)
	delete(s.repos, store)
	if open == nil {
		return nil
	}
	return open.Close()
}

// close closes all that was opened.
func (s *shelves) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs error
	for _, store := range s.open {
		errs = errors.Join(errs, store.Close())
	}
	return errs
}

// blobsOf is where a configuration, or the variable, says that artifacts and caches
// are.
func (c *cli) blobsOf(conf *serverConfig) string {
	if conf != nil {
		return conf.Blobs.URL
	}
	return c.env[envBlobs]
}

// shelve makes a repository's artifacts and caches known.
func (s *service) shelve(h *served) error {
	store, err := h.ledger.ID()
	if err != nil {
		return err
	}
	s.shelves.add(store, h.repo)
	h.site.Kept = s.shelves.kept
	return nil
}

// unshelve closes a repository's artifacts and caches and forgets them.
func (s *service) unshelve(h *served) error {
	store, err := h.ledger.ID()
	if err != nil {
		return err
	}
	return s.shelves.drop(store)
}

// kept reports whether a task's artifacts are still there.
func (s *shelves) kept(ctx context.Context, of build.Origin) bool {
	store, err := s.of(ctx, of.Build)
	if err != nil {
		return false
	}
	_, err = store.Artifacts(ctx, of.Build.Number, of.Task)
	return err == nil
}

// A shelf is what one repository's builds kept. It is a web.Shelf.
type shelf struct {
	open func(ctx context.Context, of build.ID) (*blob.Store, error)
}

// List implements web.Shelf.
func (s shelf) List(ctx context.Context, b *build.Build) ([]api.Artifacts, error) {
	list := []api.Artifacts{}
	store, err := s.open(ctx, b.ID)
	if errors.Is(err, blob.ErrNone) {
		return list, nil
	}
	if err != nil {
		return nil, err
	}
	all, err := store.OfBuild(ctx, b.ID.Number)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		out := api.Artifacts{Task: a.Task, Name: a.Task, Attempt: a.Attempt, Created: a.Created, Packed: a.Pack.Size, Files: []api.Artifact{}}
		if t, ok := b.Task(a.Task); ok {
			out.Name = t.Name
		}
		for _, file := range a.Files {
			out.Files = append(out.Files, api.Artifact(file))
		}
		list = append(list, out)
	}
	return list, nil
}

// content opens the pack of a task.
func (s shelf) content(ctx context.Context, b *build.Build, task string) (io.ReadCloser, error) {
	store, err := s.open(ctx, b.ID)
	if err != nil {
		return nil, err
	}
	kept, err := store.Artifacts(ctx, b.ID.Number, task)
	if err != nil {
		return nil, err
	}
	return store.Open(ctx, kept.Pack)
}

// Pack implements web.Shelf.
func (s shelf) Pack(ctx context.Context, b *build.Build, task string, w io.Writer) error {
	r, err := s.content(ctx, b, task)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(w, r)
	return err
}

// File implements web.Shelf.
func (s shelf) File(ctx context.Context, b *build.Build, task, name string, w io.Writer) error {
	r, err := s.content(ctx, b, task)
	if err != nil {
		return err
	}
	defer r.Close()
	return parcel.Extract(ctx, r, name, parcel.Artifacts, parcel.DefaultLimits(), w)
}
