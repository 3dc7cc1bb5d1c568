package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/git"
)

// DefaultLimit is how many builds a query returns that names no limit.
const DefaultLimit = 50

// A Query selects builds. Zero fields select all.
type Query struct {
	Limit  int      // at most so many; 0 means DefaultLimit
	Before build.ID // only older ones of this store, for the next page
	Commit plan.Commit
	Ref    string
	Name   string
	State  build.State
}

// selects leaves the commit to the caller: it takes the repository to tell.
func (q *Query) selects(b *build.Build) bool {
	return (q.Ref == "" || b.Trigger.Ref == q.Ref) &&
		(q.Name == "" || b.Name == q.Name) &&
		(q.State == "" || b.State() == q.State)
}

// Builds lists builds, those of the own store first and the newest of each store
// first. It reads no more than it returns and what it passes over. Builds that
// cannot be read do not hide the others: the error is about them, and comes with
// the rest.
func (s *Store) Builds(ctx context.Context, q Query) ([]*build.Build, error) {
	if q.Limit <= 0 {
		q.Limit = DefaultLimit
	}
	stores, err := s.stores()
	if err != nil {
		return nil, err
	}
	if !q.Before.Zero() {
		i := slices.Index(stores, q.Before.Store)
		if i < 0 {
			return nil, fmt.Errorf("list builds before %s: %w", q.Before, ErrNoBuild)
		}
		stores = stores[i:]
	}
	var builds []*build.Build
	var unread []error
	for _, store := range stores {
		for at, err := range s.newest(ctx, store, q.Before) {
			var b *build.Build
			if err == nil {
				b, err = s.build(at.id, at.tree)
			}
			switch {
			case err != nil:
				unread = append(unread, fmt.Errorf("read build %s: %w", at.id, err))
			case q.selects(b) && (q.Commit == "" || s.commitOf(b) == q.Commit):
				builds = append(builds, b)
			}
			if len(builds) == q.Limit {
				return builds, errors.Join(unread...)
			}
		}
	}
	return builds, errors.Join(unread...)
}

// newest walks a store's builds from the highest number down. Live ones are
// listed first and archives read as the walk gets there, so a build that is
// folded meanwhile is met once or, as the live one it was, not again.
func (s *Store) newest(ctx context.Context, store string, before build.ID) iter.Seq2[stand, error] {
	bound := int64(1<<63 - 1)
	if before.Store == store {
		bound = before.Number
	}
	return func(yield func(stand, error) bool) {
		live, err := s.live(store)
		if err != nil {
			yield(stand{id: build.ID{Store: store}}, err)
			return
		}
		upTo := func(n int64) bool { // yields the live builds above n
			for len(live) > 0 && live[len(live)-1].id.Number > n {
				at := live[len(live)-1]
				live = live[:len(live)-1]
				if at.id.Number < bound && !yield(at, nil) {
					return false
				}
			}
			return true
		}
		for at, err := range s.archived(store, bound) {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			if err != nil {
				yield(at, err)
				return
			}
			if !upTo(at.id.Number) {
				return
			}
			if len(live) > 0 && live[len(live)-1].id == at.id {
				continue // in the midst of being folded
			}
			if !yield(at, nil) {
				return
			}
		}
		upTo(0)
	}
}

// archived walks a store's archives from the highest number below bound down.
func (s *Store) archived(store string, bound int64) iter.Seq2[stand, error] {
	return func(yield func(stand, error) bool) {
		refs, err := s.blocks(store, archiveFolder)
		if err != nil {
			yield(stand{}, err)
			return
		}
		for _, ref := range slices.Backward(refs) {
			block, err := strconv.ParseInt(lastOf(ref.Name), 10, 64)
			if err != nil || block > bound/archiveBlock {
				continue
			}
			for at, err := range s.inBlock(store, ref.Hash, bound) {
				if !yield(at, err) || err != nil {
					return
				}
			}
		}
	}
}

// inBlock walks one archive.
func (s *Store) inBlock(store string, archive git.Hash, bound int64) iter.Seq2[stand, error] {
	return func(yield func(stand, error) bool) {
		hundreds, err := s.repo.List(archive, "")
		if err != nil {
			yield(stand{id: build.ID{Store: store}}, err)
			return
		}
		for _, hundred := range slices.Backward(hundreds) {
			builds, err := s.repo.List(hundred.Hash, "")
			if err != nil {
				yield(stand{id: build.ID{Store: store}}, err)
				return
			}
			for _, entry := range slices.Backward(builds) {
				n, ok := parseDigits(entry.Name)
				if !ok || n >= bound {
					continue
				}
				if !yield(stand{id: build.ID{Store: store, Number: n}, tree: entry.Hash}, nil) {
					return
				}
			}
		}
	}
}

// OfCommit lists the own store's builds of a commit, oldest first.
func (s *Store) OfCommit(ctx context.Context, c plan.Commit) ([]Known, error) {
	own, err := s.ID()
	if err != nil || own == "" {
		return nil, err
	}
	builds, err := s.ofCommit(ctx, c, []string{own})
	if err != nil {
		return nil, fmt.Errorf("list builds of %s: %w", c, err)
	}
	var known []Known
	for _, b := range builds {
		known = append(known, Known{ID: b.ID, Name: b.Name, Event: b.Trigger.Event, Ref: b.Trigger.Ref, Request: b.Trigger.Request})
	}
	return known, nil
}

// ofCommit reads the builds of a commit in these stores, in their order and by
// number: those its note names, as far as they are stored here, and live ones.
// The note is only an index: anybody can write one. Builds that cannot be read do
// not hide the others: the error is about them, and comes with the rest.
func (s *Store) ofCommit(ctx context.Context, c plan.Commit, stores []string) ([]*build.Build, error) {
	ids, err := s.noted(c)
	if err != nil {
		return nil, err
	}
	for _, store := range stores {
		live, err := s.live(store)
		if err != nil {
			return nil, err
		}
		for _, at := range live {
			ids = append(ids, at.id)
		}
	}
	ids = slices.DeleteFunc(ids, func(id build.ID) bool { return !slices.Contains(stores, id.Store) })
	slices.SortFunc(ids, func(a, b build.ID) int {
		return cmp.Or(
			cmp.Compare(slices.Index(stores, a.Store), slices.Index(stores, b.Store)),
			cmp.Compare(a.Number, b.Number),
		)
	})
	var builds []*build.Build
	var unread []error
	for _, id := range slices.Compact(ids) {
		tree, err := s.locate(id)
		if errors.Is(err, ErrNoBuild) {
			continue // not stored here
		}
		var b *build.Build
		if err == nil {
			b, err = s.build(id, tree)
		}
		switch {
		case err != nil:
			unread = append(unread, fmt.Errorf("read build %s: %w", id, err))
		case s.commitOf(b) == c:
			builds = append(builds, b)
		}
	}
	return builds, errors.Join(append(unread, context.Cause(ctx))...)
}

// commitOf is the commit whose note tells of the build. A trigger may name a tag.
func (s *Store) commitOf(b *build.Build) plan.Commit {
	h, err := git.ParseHash(string(b.Trigger.Commit))
	if err != nil {
		return b.Trigger.Commit
	}
	commit, err := s.repo.Peel(h)
	if err != nil {
		return b.Trigger.Commit // the commit is gone; its note need not be
	}
	return plan.Commit(commit.String())
}

// noted lists the builds that a commit's note names.
func (s *Store) noted(c plan.Commit) ([]build.ID, error) {
	h, err := git.ParseHash(string(c))
	if err != nil {
		return nil, err
	}
	text, err := s.repo.Note(NotesRef, h)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, git.ErrRefNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ids []build.ID
	for line := range strings.Lines(string(text)) {
		if n, err := ParseNote(strings.TrimSuffix(line, "\n")); err == nil { // others may write here too
			ids = append(ids, n.ID)
		}
	}
	return ids, nil
}
