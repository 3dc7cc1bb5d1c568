package storage

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/velocity-ci/velocity/architect/build"
)

// ID is the id of the repository's own store; "" before anything was written.
func (s *Store) ID() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.id != "" {
		return s.id, nil
	}
	data, err := os.ReadFile(s.identity())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read store id: %w", err)
	}
	id := strings.TrimSuffix(string(data), "\n")
	if !build.ValidStore(id) {
		return "", fmt.Errorf("read store id: %w", &identityError{path: s.identity(), content: data})
	}
	s.id = id
	return id, nil
}

// An identityError says that the store's file holds no id.
type identityError struct {
	path    string
	content []byte
}

func (e *identityError) Error() string {
	return fmt.Sprintf("%s holds %.20q, not six letters and digits; velocity fsck says what to do", e.path, e.content)
}

func (s *Store) identity() string { return filepath.Join(s.folder(), "store") }

// ensureID is the own store's id, made if there is none. A repository that was
// copied with its refs, but without our folder, goes on with the one store it
// came with; adopted is true then.
func (s *Store) ensureID() (id string, adopted bool, err error) {
	if id, err = s.ID(); id != "" || err != nil {
		return id, false, err
	}
	found, _, err := s.storesInRefs()
	if err != nil {
		return "", false, err
	}
	candidate := newStoreID()
	if len(found) == 1 {
		candidate = found[0]
	}
	err = s.createFile(s.identity(), []byte(candidate+"\n"))
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return "", false, fmt.Errorf("make store id: %w", err)
	}
	id, err = s.ID() // that of the process that came first
	return id, err == nil && id == candidate && len(found) == 1, err
}

func newStoreID() string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
	id := make([]byte, 0, 6)
	var b [1]byte
	for len(id) < cap(id) {
		rand.Read(b[:])                                          // never fails
		if i := int(b[0]); i < 256/len(alphabet)*len(alphabet) { // else some would be likelier
			id = append(id, alphabet[i%len(alphabet)])
		}
	}
	return string(id)
}

// stores lists the ids of all stores in the repository: the own one first, then
// those that are in place, then those that were only fetched.
func (s *Store) stores() ([]string, error) {
	own, err := s.ID()
	if err != nil {
		return nil, err
	}
	inPlace, fetched, err := s.storesInRefs()
	if err != nil {
		return nil, err
	}
	if i := slices.Index(inPlace, own); i > 0 {
		inPlace = slices.Insert(slices.Delete(inPlace, i, i+1), 0, own)
	}
	for _, id := range fetched {
		if id != own && !slices.Contains(inPlace, id) {
			inPlace = append(inPlace, id)
		}
	}
	return inPlace, nil
}

// storesInRefs lists the stores that have a ref in place and those that have one
// among what was fetched, each sorted.
func (s *Store) storesInRefs() (inPlace, fetched []string, err error) {
	refs, broken, err := s.repo.Refs(RefPrefix)
	if err != nil {
		return nil, nil, fmt.Errorf("list stores: %w", err)
	}
	note := func(ref string) {
		list := &inPlace
		id, _, _ := strings.Cut(strings.TrimPrefix(ref, RefPrefix), "/")
		if copied, ok := parseFetched(ref); ok {
			list, id = &fetched, copied.store
		}
		if build.ValidStore(id) && !slices.Contains(*list, id) {
			*list = append(*list, id)
		}
	}
	for _, ref := range refs {
		note(ref.Name)
	}
	for _, ref := range broken {
		note(ref.Name)
	}
	slices.Sort(inPlace)
	slices.Sort(fetched)
	return inPlace, fetched, nil
}
