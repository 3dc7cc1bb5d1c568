package storage

import (
	"fmt"
	"slices"
	"strings"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/git"
)

// nearby is how many commits are looked at, in each direction, for a build near a
// commit that has none.
const nearby = 100

// unbuilt says that no build is of a commit, and which ones are near it: of the commits
// of one push only the last is built.
func (s *Store) unbuilt(c plan.Commit) error {
	err := fmt.Errorf("%w: none is of commit %s", ErrNoBuild, c.Short())
	var near []string
	for _, look := range []func(plan.Commit) []plan.Commit{s.after, s.before} {
		for _, other := range look(c) {
			if id, ok := s.notedHere(other); ok {
				near = append(near, fmt.Sprintf("%s of %s", id, other.Short()))
				break
			}
		}
	}
	if len(near) == 0 {
		return err
	}
	return fmt.Errorf("%w; built near it: %s", err, strings.Join(near, ", "))
}

// before lists commits that lead to c, those next to it first. What cannot be read is
// left out: it is for advice.
func (s *Store) before(c plan.Commit) []plan.Commit {
	h, err := git.ParseHash(string(c))
	if err != nil {
		return nil
	}
	list, _ := s.repo.Ancestors(h, nearby)
	return commits(list)
}

// after lists the commits of HEAD that came after c, those next to it first; none if c
// is not one of HEAD's newest.
func (s *Store) after(c plan.Commit) []plan.Commit {
	_, head, err := s.repo.Head()
	if err != nil || head.IsZero() {
		return nil
	}
	list, _ := s.repo.Ancestors(head, nearby)
	list = append([]git.Hash{head}, list...)
	for i, h := range list {
		if plan.Commit(h.String()) == c {
			newer := commits(list[:i])
			slices.Reverse(newer)
			return newer
		}
	}
	return nil
}

func commits(list []git.Hash) []plan.Commit {
	all := make([]plan.Commit, len(list))
	for i, h := range list {
		all[i] = plan.Commit(h.String())
	}
	return all
}

// notedHere is the newest build that the note of a commit names and that is stored here.
func (s *Store) notedHere(c plan.Commit) (newest build.ID, ok bool) {
	ids, err := s.noted(c)
	if err != nil {
		return newest, false
	}
	for _, id := range ids { // in the order in which they ended
		if _, err := s.locate(id); err == nil {
			newest, ok = id, true
		}
	}
	return newest, ok
}
