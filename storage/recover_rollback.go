package storage

import (
	"context"
	"fmt"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage/git"
)

// rollBack moves a live build to its newest state that is complete and agrees
// with its moves, and adds a notice that says so. k is nil if there is no such
// state; nothing has changed then.
func (l *Ledger) rollBack(ctx context.Context, ref git.Ref) (k *kept, did string, err error) {
	s, err := l.newestWhole(ctx, ref)
	if s == nil || err != nil {
		return nil, "", err
	}
	notice := fmt.Sprintf("rolled back to move %d: what followed could not be read", s.seq)
	if s.kept.head == ref.Hash {
		notice = fmt.Sprintf("the history before move %d could not be read", s.seq)
	}
	b := newBatch(l)
	s.build = s.build.Clone()
	if s.moves, err = s.build.Do(build.Move{Kind: build.Notice, Reason: notice, At: l.now()}); err != nil {
		return nil, "", err
	}
	lines, err := encodeMoves(s.moves)
	if err != nil {
		return nil, "", err
	}
	s.events, s.seq = append(s.events, lines...), s.build.Seq
	if err := b.commit(s); err != nil {
		return nil, "", err
	}
	if err := l.repo.Write(ctx, b.objects, []git.RefUpdate{{Name: ref.Name, Old: ref.Hash, New: s.head}}); err != nil {
		return nil, "", err
	}
	return &s.kept, fmt.Sprintf("build %s was %s (it was at %s)", s.id, notice, ref.Hash), nil
}

// newestWhole is the newest state of a live build of which nothing is missing; its
// history may be, and is then not built on.
func (l *Ledger) newestWhole(ctx context.Context, ref git.Ref) (*staged, error) {
	for h := range l.ancestors(ref.Hash) {
		k, err := l.loadBuild(l.store, git.Ref{Name: ref.Name, Hash: h})
		if err != nil {
			if !damage(err) {
				return nil, err
			}
			continue
		}
		missing, err := l.repo.Incomplete(ctx, k.tree)
		if err != nil {
			return nil, err
		}
		if missing != "" {
			continue
		}
		s := &staged{kept: *k}
		if missing, err = l.repo.Incomplete(ctx, h); missing == "" {
			s.before = h
		}
		return s, err
	}
	return nil, nil
}
