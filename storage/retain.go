package storage

import (
	"context"
	"fmt"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage/git"
)

// A Bound says how much of something stays. What is beyond any part of it goes,
// the oldest first; zero parts bound nothing.
type Bound struct {
	Age   time.Duration // since the build finished
	Bytes int64         // in all, before compression
	Count int           // newest builds
}

func (b Bound) forever() bool { return b == Bound{} }

// A Retention says what stays of finished builds. The zero value keeps all.
type Retention struct {
	Logs   Bound // logs go build by build
	Builds Bound // builds go by whole blocks of the archive, with their logs
}

// Dropped is what a Retention takes away.
type Dropped struct {
	Builds     int   // whose record goes
	LogsOf     int   // builds whose logs go
	Files      int   // of logs
	Bytes      int64 // of logs, before compression
	Unreadable []string
}

// Nothing reports whether all stays.
func (d *Dropped) Nothing() bool { return d.Builds == 0 && d.LogsOf == 0 }

// PlanRetention tells what Retain would drop now, and changes nothing. It needs
// no lock, and does not see builds that are final and not in the archive yet.
func (s *Store) PlanRetention(ctx context.Context, keep Retention) (Dropped, error) {
	own, err := s.ID()
	if err != nil || own == "" {
		return Dropped{}, err
	}
	p, err := s.planRetention(ctx, own, keep)
	if err != nil {
		return Dropped{}, fmt.Errorf("plan retention: %w", err)
	}
	return p.dropped, nil
}

// Retain drops what is beyond the bounds from the own store: logs build by build,
// builds once a whole block of the archive is beyond them, except for the newest
// block. Live builds and those whose record cannot be read stay, and so do notes
// and the count of numbers. What was dropped takes room until the packs are
// collected.
//
// It looks around beside the writer and drops a block at a time, so that changes
// to builds wait for one small write at most.
func (l *Ledger) Retain(ctx context.Context, keep Retention) (Dropped, error) {
	if err := l.between(func() error { return nil }); err != nil { // all that is final is folded now
		return Dropped{}, fmt.Errorf("retain: %w", err)
	}
	p, err := l.planRetention(ctx, l.store, keep)
	if err != nil {
		return Dropped{}, fmt.Errorf("plan retention: %w", err)
	}
	for _, ref := range p.blocks {
		if err := l.between(func() error { return l.dropBlock(ctx, ref) }); err != nil {
			return Dropped{}, fmt.Errorf("drop %s: %w", ref.Name, explain(err))
		}
	}
	for ref, ids := range p.logs {
		if err := l.between(func() error { return l.dropLogs(ctx, ref, ids) }); err != nil {
			return Dropped{}, fmt.Errorf("drop logs in %s: %w", ref, explain(err))
		}
	}
	return p.dropped, nil
}

// dropBlock deletes a block of the archive and its blocks of logs, unless
// something came into it meanwhile.
func (l *Ledger) dropBlock(ctx context.Context, archive git.Ref) error {
	if now, err := l.repo.Ref(archive.Name); err != nil || now != archive.Hash {
		return err
	}
	updates := []git.RefUpdate{{Name: archive.Name, Old: archive.Hash}}
	logs, err := l.logsBeside(l.store, archive.Name)
	if err != nil {
		return err
	}
	for _, ref := range logs {
		updates = append(updates, git.RefUpdate{Name: ref.Name, Old: ref.Hash})
	}
	l.written++
	return l.repo.Write(ctx, nil, updates)
}

// logsBeside lists the blocks of logs of the builds in a block of the archive:
// their names begin with its own.
func (s *Store) logsBeside(store, archive string) ([]git.Ref, error) {
	refs, _, err := s.repo.Refs(storeRef(store, "logs/"+lastOf(archive)))
	return refs, err
}

// dropLogs takes the logs of builds out of their block.
func (l *Ledger) dropLogs(ctx context.Context, ref string, ids []build.ID) error {
	head, err := l.repo.Ref(ref)
	if err != nil {
		return err
	}
	objects := l.repo.NewBatch()
	next, err := l.blockWithout(objects, head, ids, fmt.Sprintf("drop logs of %d builds", len(ids)))
	if err != nil {
		return err
	}
	l.written++
	return l.repo.Write(ctx, objects, []git.RefUpdate{{Name: ref, Old: head, New: next}})
}
