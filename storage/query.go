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
	"time"

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
	Name   string      // of the pipeline or blueprint
	Author string      // part of the commit's author or of who asked, in any case
	Task   string      // has a task of this name or key
	State  build.State // of the build; of that task if one is named
	Since  time.Time   // submitted then or later
	Until  time.Time   // submitted before
}

// Builds lists builds, those of the own store first and the newest of each store
// first. It reads no more than it returns and, where no index tells about them,
// what it passes over. Builds that cannot be read do not hide the others: the
// error is about them, and comes with the rest.
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
	x := s.search(q)
	defer x.save()
	var builds []*build.Build
	var unread []error
	for _, store := range stores {
		for at, err := range s.newest(ctx, store, x) {
			var b *build.Build
			if err == nil {
				b, err = s.build(at.id, at.tree)
			}
			switch {
			case err != nil:
				unread = append(unread, fmt.Errorf("read build %s: %w", at.id, err))
			case x.selects(b):
				builds = append(builds, b)
			}
			if len(builds) == q.Limit {
				return builds, errors.Join(unread...)
			}
		}
	}
	return builds, errors.Join(unread...)
}

// newest walks a store's builds from the highest number down, without those that
// the index can rule out. Live ones are listed first and archives read as the walk
// gets there, so a build that is folded meanwhile is met once or, as the live one
// it was, not again.
func (s *Store) newest(ctx context.Context, store string, x *search) iter.Seq2[stand, error] {
	bound := int64(1<<63 - 1)
	if x.q.Before.Store == store {
		bound = x.q.Before.Number
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
		for at, err := range s.archived(ctx, store, bound, x) {
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
func (s *Store) archived(ctx context.Context, store string, bound int64, x *search) iter.Seq2[stand, error] {
	return func(yield func(stand, error) bool) {
		refs, err := s.blocks(store, archiveFolder)
		if err != nil {
			yield(stand{}, err)
			return
		}
		for _, ref := range slices.Backward(refs) {
			number, err := strconv.ParseInt(lastOf(ref.Name), 10, 64)
			if err != nil || number > bound/archiveBlock {
				continue
			}
			b := block{store: store, number: number, ref: ref}
			for at, err := range x.inBlock(ctx, b, bound) {
				if !yield(at, err) || err != nil {
					return
				}
			}
		}
	}
}

// A block is an archive of ten thousand builds.
type block struct {
	store  string
	number int64
	ref    git.Ref
}

// inBlock walks the builds of one archive that the query may select.
func (x *search) inBlock(ctx context.Context, b block, bound int64) iter.Seq2[stand, error] {
	return func(yield func(stand, error) bool) {
		hundreds, err := x.s.repo.List(b.ref.Hash, "")
		if err != nil {
			yield(stand{id: build.ID{Store: b.store}}, err)
			return
		}
		for _, hundred := range slices.Backward(hundreds) {
			if n, err := strconv.ParseInt(hundred.Name, 10, 64); err == nil && b.number*archiveBlock+100*n >= bound {
				continue
			}
			builds, err := x.candidates(ctx, b, hundreds, hundred.Hash)
			if err != nil {
				yield(stand{id: build.ID{Store: b.store}}, err)
				return
			}
			for _, at := range slices.Backward(builds) {
				if at.id.Number < bound && !yield(at, nil) {
					return
				}
			}
		}
	}
}

// inBlock walks all that a block of builds or of logs holds, from the highest
// number down.
func (s *Store) inBlock(store string, head git.Hash) iter.Seq2[stand, error] {
	return func(yield func(stand, error) bool) {
		hundreds, err := s.repo.List(head, "")
		if err != nil {
			yield(stand{id: build.ID{Store: store}}, err)
			return
		}
		for _, hundred := range slices.Backward(hundreds) {
			builds, err := s.hundred(store, hundred.Hash)
			if err != nil {
				yield(stand{id: build.ID{Store: store}}, err)
				return
			}
			for _, at := range slices.Backward(builds) {
				if !yield(at, nil) {
					return
				}
			}
		}
	}
}

// hundred lists the builds in a folder of an archive, by number.
func (s *Store) hundred(store string, tree git.Hash) ([]stand, error) {
	entries, err := s.repo.List(tree, "")
	if err != nil {
		return nil, err
	}
	var builds []stand
	for _, entry := range entries {
		if n, ok := parseDigits(entry.Name); ok {
			builds = append(builds, stand{id: build.ID{Store: store, Number: n}, tree: entry.Hash})
		}
	}
	return builds, nil
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
		known = append(known, Known{ID: b.ID, Name: b.Name, Trigger: b.Trigger, Config: b.Config, Void: b.Void()})
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
