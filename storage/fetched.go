package storage

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage/git"
)

// remotesPrefix is before the copies of other repositories' stores, each below
// the name of where it came from.
const remotesPrefix = RefPrefix + "remotes/"

// A fetched name is that of a ref with a copy of a store's block:
//
//	refs/velocity/remotes/<remote>/<store>/archive/<bbbb>
//	refs/velocity/remotes/<remote>/<store>/logs/<bbbbb>
type fetched struct {
	remote string
	store  string
	block  string // "archive/0000"
}

func (f fetched) String() string { return remotesPrefix + f.remote + "/" + f.store + "/" + f.block }

// parseFetched reads a ref's name; ok is false if it is another one.
func parseFetched(ref string) (f fetched, ok bool) {
	rest, ok := strings.CutPrefix(ref, remotesPrefix)
	if !ok {
		return f, false
	}
	f.remote, rest, _ = strings.Cut(rest, "/")
	f.store, f.block, _ = strings.Cut(rest, "/")
	return f, f.remote != "" && build.ValidStore(f.store) && validBlock(f.block)
}

// validBlock tells names of blocks as archiveBlockOf and logsBlockOf make them.
func validBlock(name string) bool {
	for folder, width := range map[string]int{archiveFolder: 4, logsRefFolder: 5} {
		number, ok := strings.CutPrefix(name, folder)
		if ok && len(number) >= width && len(number) <= len(digits(0)) && strings.Trim(number, "0123456789") == "" {
			return len(number) == width || number[0] != '0'
		}
	}
	return false
}

// block is the commit of a store's block, such as "archive/0000", or
// git.ErrRefNotFound. What is in place counts before what was fetched, and of
// several copies the newest. The own store is never read from a copy: others
// could put builds into it.
func (s *Store) block(store, name string) (git.Hash, error) {
	h, err := s.repo.Ref(storeRef(store, name))
	if !errors.Is(err, git.ErrRefNotFound) {
		return h, err
	}
	copies, copiesErr := s.copies(store, name)
	if copiesErr != nil {
		return git.Zero, copiesErr
	}
	if newest, ok := copies[name]; ok {
		return newest.Hash, nil
	}
	return git.Zero, err
}

// blocks lists a store's blocks in "archive/" or "logs/" by number, each chosen
// as block does. A ref whose last component is no number is not ours.
func (s *Store) blocks(store, folder string) ([]git.Ref, error) {
	found, err := s.copies(store, folder)
	if err != nil {
		return nil, err
	}
	refs, _, err := s.repo.Refs(storeRef(store, folder))
	if err != nil {
		return nil, err
	}
	for _, ref := range refs {
		if name := folder + lastOf(ref.Name); validBlock(name) {
			found[name] = ref
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b git.Ref) int {
		one, two := lastOf(a.Name), lastOf(b.Name)
		return cmp.Or(cmp.Compare(len(one), len(two)), cmp.Compare(one, two))
	}), nil
}

// copies maps the names of a store's fetched blocks that begin with prefix to
// their newest copies.
func (s *Store) copies(store, prefix string) (map[string]git.Ref, error) {
	newest := map[string]git.Ref{}
	own, err := s.ID()
	if err != nil || store == own {
		return newest, err
	}
	refs, _, err := s.repo.Refs(remotesPrefix)
	if err != nil {
		return nil, err
	}
	for _, ref := range refs {
		f, ok := parseFetched(ref.Name)
		if !ok || f.store != store || !strings.HasPrefix(f.block, prefix) {
			continue
		}
		if other, twice := newest[f.block]; !twice || s.newer(ref.Hash, other.Hash) {
			newest[f.block] = ref
		}
	}
	return newest, nil
}

// newer compares two copies of a block. One that cannot be read is the older one.
func (s *Store) newer(a, b git.Hash) bool {
	one, err := s.repo.Commit(a)
	if err != nil {
		return false
	}
	two, err := s.repo.Commit(b)
	return err != nil || one.Committed.After(two.Committed)
}
