package storage

import (
	"fmt"
	"slices"
	"strings"

	"github.com/velocity-ci/velocity/architect/build"
)

// Results names the refs with results, for those who fetch them from here: the notes,
// and the folders of the archives and logs of every store in place. All other refs of
// ours are how the ledger works, or copies of what others published.
func (s *Store) Results() ([]string, error) {
	refs, _, err := s.repo.Refs(RefPrefix)
	if err != nil {
		return nil, fmt.Errorf("list results: %w", err)
	}
	names := []string{NotesRef}
	for _, ref := range refs {
		store, block, _ := strings.Cut(strings.TrimPrefix(ref.Name, RefPrefix), "/")
		if folder, _, _ := strings.Cut(block, "/"); build.ValidStore(store) && validBlock(block) {
			names = append(names, RefPrefix+store+"/"+folder)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
