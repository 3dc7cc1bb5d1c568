package storage

import (
	"context"
	"errors"
	"fmt"

	"github.com/velocity-ci/velocity/storage/git"
)

// seq finds a count of builds that would give a number out again, or none at all.
func (x *examination) seq(ctx context.Context) error {
	top, err := x.highest(x.store, x.depth == full)
	if err != nil {
		return err
	}
	f := Finding{
		Severity: Damage, Place: storeRef(x.store, "seq"), Remedy: "it is set to follow the highest number that anything here has",
		mend: func(ctx context.Context, l *Ledger) (string, error) { return l.recount(ctx) },
	}
	_, first, err := x.reserved(x.store)
	switch {
	case errors.Is(err, git.ErrRefNotFound):
		if top == 0 {
			return nil
		}
		f.Code, f.Problem = SeqBehind, fmt.Sprintf("it is missing, and there is a build %d", top)
	case err != nil && !damage(err):
		return fmt.Errorf("read %s: %w", f.Place, err)
	case err != nil:
		f.Code, f.Problem = SeqGarbage, err.Error()
	case first <= top:
		f.Code, f.Problem = SeqBehind, fmt.Sprintf("the next number would be %d, and there is a build %d", first, top)
	default:
		return nil
	}
	return x.found(ctx, f)
}

// recount sets seq from what is there.
func (l *Ledger) recount(ctx context.Context) (did string, err error) {
	head, err := l.repo.Ref(storeRef(l.store, "seq"))
	if err != nil && !errors.Is(err, git.ErrRefNotFound) {
		return "", err
	}
	top, err := l.highest(l.store, true)
	if err != nil {
		return "", err
	}
	var n numbers
	did = fmt.Sprintf("%s could not be relied on: the next build has number %d, since %d is the highest of which anything is left",
		storeRef(l.store, "seq"), top+1, top)
	return did, n.write(ctx, l, head, top+1)
}

// desk finds a memory of the architect's that it cannot read, and without which
// it begins anew.
func (x *examination) desk(ctx context.Context) error {
	_, _, err := x.tips(x.store)
	if err == nil {
		_, err = x.marks(x.store)
	}
	if err == nil {
		return nil
	}
	name := storeRef(x.store, "desk")
	switch {
	case newer(err) && x.ledger == nil:
		return x.found(ctx, newerFinding(name, err))
	case !damage(err):
		return fmt.Errorf("read desk: %w", err)
	}
	why := err
	return x.found(ctx, Finding{
		Code: UnreadableDesk, Severity: Damage, Place: name, Problem: why.Error(),
		Remedy: "it is put away; branches and tags count as dealt with as they are then, so a push that only the sweep would have found is not built",
		mend: func(ctx context.Context, l *Ledger) (string, error) {
			head, err := l.repo.Ref(name)
			if err != nil {
				return "", err
			}
			return l.putAway(ctx, git.Ref{Name: name, Hash: head}, "desk", why)
		},
	})
}

// inbox finds triggers that cannot be read.
func (x *examination) inbox(ctx context.Context) error {
	_, poison, err := x.pending(x.store)
	if err != nil {
		return err
	}
	for _, p := range poison {
		if p.ref.Hash.IsZero() { // a broken ref, see refs
			continue
		}
		f := Finding{
			Code: UnreadableInbox, Severity: Damage, Place: p.ref.Name, Problem: p.Err.Error(),
			Remedy: "it is quarantined; push again, or velocity start, builds what it asked for",
			mend: func(ctx context.Context, l *Ledger) (string, error) {
				return l.putAway(ctx, p.ref, p.Trigger, p.Err)
			},
		}
		switch {
		case newer(p.Err):
			f = newerFinding(p.ref.Name, p.Err)
		case !damage(p.Err):
			return fmt.Errorf("read %s: %w", p.ref.Name, p.Err)
		}
		if err := x.found(ctx, f); err != nil {
			return err
		}
	}
	return nil
}
