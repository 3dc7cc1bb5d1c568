package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
)

// AddNotice appends a notice to the event log of a build that is in the archive. One
// with the same text is there at most once. It returns nil when that is durable.
// Errors: ErrNoBuild, also after its block was deleted; ErrUnfinished, as then its
// moves are the architect's to make.
func (l *Ledger) AddNotice(ctx context.Context, id build.ID, text string, at time.Time) error {
	n := &lateNotice{id: id, text: text, at: at}
	if err := l.await(ctx, entry{notice: n}); err != nil {
		return fmt.Errorf("add a notice to build %s: %w", id, err)
	}
	return n.err
}

// A lateNotice is for a build that is in the archive.
type lateNotice struct {
	id   build.ID
	text string
	at   time.Time
	err  error // why it cannot be; the writer's until the entry is done
}

// addNotice stages a notice. What is wrong with it alone is its own error, and the
// rest of the batch goes on.
func (b *batch) addNotice(n *lateNotice) error {
	s, err := b.late(n.id)
	if errors.Is(err, ErrNoBuild) || errors.Is(err, ErrUnfinished) {
		n.err = fmt.Errorf("add a notice: %w", err)
		return nil
	}
	if err != nil || slices.Contains(s.build.Notices, n.text) {
		return err
	}
	next := s.build.Clone()
	moves, err := next.Do(build.Move{Kind: build.Notice, Reason: n.text, At: n.at})
	if err != nil {
		return err
	}
	return b.addBuild(build.Change{Build: next, Moves: moves})
}

// late stages a build that is in the archive, for notices.
func (b *batch) late(id build.ID) (*staged, error) {
	if s := b.staged[id.Number]; s != nil && s.archived {
		return s, nil
	}
	if id.Store != b.l.store {
		return nil, ErrNoBuild
	}
	if b.l.builds[id.Number] != nil || b.staged[id.Number] != nil {
		return nil, fmt.Errorf("%s: %w", id, ErrUnfinished)
	}
	tree, err := b.l.placed(archiveBlockOf(id), id)
	if err != nil {
		return nil, err
	}
	s := &staged{kept: kept{stand: stand{id: id, tree: tree}}, archived: true}
	if s.entries, err = b.l.repo.List(tree, ""); err != nil {
		return nil, err
	}
	if s.build, err = b.l.build(id, tree); err != nil {
		return nil, err
	}
	if s.events, s.told, err = b.l.events(tree); err != nil {
		return nil, err
	}
	s.seq = s.build.Seq
	b.staged[id.Number] = s
	b.order = append(b.order, id.Number)
	return s, nil
}

// tooLate reports whether a change is of notices alone, and of a build that was
// folded while they were on their way here.
func (b *batch) tooLate(c build.Change) bool {
	n := c.Build.ID.Number
	if b.l.builds[n] != nil || len(c.Moves) == 0 || c.Moves[0].Seq == 1 {
		return false
	}
	if s := b.staged[n]; s != nil && !s.archived {
		return false
	}
	return !slices.ContainsFunc(c.Moves, func(m build.Move) bool { return m.Kind != build.Notice })
}

// rearchive adds the archived builds of the batch to their blocks anew.
func (b *batch) rearchive() (*fold, error) {
	f := &fold{l: b.l, objects: b.objects}
	for _, n := range b.order {
		if s := b.staged[n]; s.archived {
			f.final = append(f.final, &s.kept)
		}
	}
	err := f.archived()
	return f, err
}
