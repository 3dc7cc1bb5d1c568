package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/git"
)

// Find is the build that a person means by text: its id, its number, or a commit
// whose newest build it is, given in any way that git knows it by, such as main~2. A
// number that is also the beginning of a commit is a number. It fails with ErrNoBuild,
// and names builds near a commit that has none.
func (s *Store) Find(ctx context.Context, text string) (build.ID, error) {
	if id, err := build.ParseID(text); err == nil {
		if _, err := s.locate(id); err != nil {
			return build.ID{}, fmt.Errorf("find build: %w", err)
		}
		return id, nil
	}
	id, err := s.findNumber(text)
	if errors.Is(err, ErrNoBuild) {
		id, err = s.findCommit(ctx, text)
	}
	if err != nil {
		return build.ID{}, fmt.Errorf("find build %q: %w", text, err)
	}
	return id, nil
}

// findNumber looks for a number in the own store, then in the others.
func (s *Store) findNumber(text string) (build.ID, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n == 0 || len(text) > len(digits(0)) { // longer ones are commits
		return build.ID{}, ErrNoBuild
	}
	stores, err := s.stores()
	if err != nil {
		return build.ID{}, err
	}
	for _, store := range stores {
		id := build.ID{Store: store, Number: int64(n)}
		if _, err := s.locate(id); !errors.Is(err, ErrNoBuild) {
			return id, err
		}
	}
	return build.ID{}, ErrNoBuild
}

// findCommit looks for the newest build of a commit, which may be gone itself.
func (s *Store) findCommit(ctx context.Context, text string) (build.ID, error) {
	c, err := plan.ParseCommit(text)
	if err != nil {
		h, err := s.repo.Revision(ctx, text)
		if errors.Is(err, git.ErrRefNotFound) {
			return build.ID{}, fmt.Errorf("%w: %w", ErrNoBuild, err)
		}
		if err != nil {
			return build.ID{}, err
		}
		c = plan.Commit(h.String())
	}
	stores, err := s.stores()
	if err != nil {
		return build.ID{}, err
	}
	builds, err := s.ofCommit(ctx, c, stores)
	if err == nil && len(builds) == 0 {
		err = s.unbuilt(c)
	}
	if len(builds) == 0 {
		return build.ID{}, err
	}
	newest := slices.MaxFunc(builds, func(a, b *build.Build) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID.Number, b.ID.Number))
	})
	return newest.ID, nil
}
