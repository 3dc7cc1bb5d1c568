package architect

import (
	"context"
	"fmt"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// heldWithin is how long a build waits for an approval.
const heldWithin = 14 * 24 * time.Hour

// reasonNotApproved is why a build ends that nobody approved.
const reasonNotApproved = "not approved"

// hold decides whether a draft waits for approval: whatever is not known to come
// from somebody who may write here does. It needs no second approval if it runs
// again what was approved, the same commit by the same plan, and if somebody asks
// for it who could approve it.
func (s *Site) hold(ctx context.Context, t plan.Trigger, d *draft) error {
	d.held = !t.Trusted() && d.plan != nil && !d.skip
	if !d.held || !t.MayApprove || t.Parent == "" || t.Actor == "" {
		return nil
	}
	id, wrong := build.ParseID(t.Parent)
	parent, ok, err := s.History.Recorded(ctx, id)
	if wrong != nil || err != nil || !ok { // nobody's child stays held
		return err
	}
	if was := parent.Build.Approval; was != nil && was.Commit == t.Commit && was.Digest == d.digest {
		d.approval = &build.Approval{Commit: was.Commit, Digest: was.Digest, By: t.Actor}
	}
	return nil
}

// Approve lets a held build start. The approval is good for the commit and the plan
// that it names: it is a *build.MismatchError if the build is of others, ErrNoBuild
// if it is not in the architect's hands, and build.ErrNotHeld if it is over or never
// waited for one. Approving once more changes nothing. It returns when the approval
// is durable, or when ctx ends.
func (a *Architect) Approve(ctx context.Context, id build.ID, approval build.Approval) error {
	a.mu.Lock()
	durable := make(chan struct{})
	err := a.approve(id, approval, func() { close(durable) })
	a.commit()
	if err != nil {
		return fmt.Errorf("approve %s: %w", id, err)
	}
	select {
	case <-durable:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("approve %s: %w", id, context.Cause(ctx))
	}
}

// approve is Approve up to where it waits. The lock is held.
func (a *Architect) approve(id build.ID, approval build.Approval, then func()) error {
	w, ok := a.works[id]
	if !ok {
		return ErrNoBuild
	}
	if w.b.State().Final() {
		return fmt.Errorf("%w any more: it %s (%s)", build.ErrNotHeld, w.b.State(), w.b.Reason())
	}
	waits := w.b.AwaitsApproval()
	if err := w.do(build.Move{Kind: build.Approve, Approval: &approval, At: a.Now()}, then); err != nil {
		return err
	}
	if waits {
		a.admit(w)
	}
	a.touch(w)
	return nil
}

// unapproved ends a build that waited for an approval too long. The lock is held.
func (a *Architect) unapproved(w *work, now time.Time) {
	if !w.b.AwaitsApproval() || now.Sub(w.b.Created) < heldWithin {
		return
	}
	if err := w.do(build.Move{Kind: build.Canceling, Reason: reasonNotApproved, At: now}, nil); err != nil {
		a.Logger.Error("end what nobody approved", "build", w.b.ID.String(), "err", err)
		return
	}
	a.touch(w)
}
