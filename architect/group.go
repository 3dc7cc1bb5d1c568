package architect

import (
	"cmp"
	"slices"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// Builds of one concurrency group run one after the other, in the order of their
// numbers. One that is not its turn stays as it was submitted, all tasks waiting.

// enter opens a new build, or has it wait for an approval or for its turn. The lock
// is held.
func (a *Architect) enter(w *work) {
	if w.b.Trigger.Event == plan.EventPullRequest && w.b.Trigger.Parent == "" {
		a.supersede(w.b.ID, proposal{w.b.Trigger, w.site, w.b.Name, w.b.Config, w.branch}.outdates)
	}
	if !w.b.AwaitsApproval() {
		a.admit(w)
	}
}

// admit opens a build that needs no approval any more, or has it wait for its turn.
// The lock is held.
func (a *Architect) admit(w *work) {
	if w.b.Group != "" {
		a.queued = append(a.queued, w)
		if w.plan != nil && w.plan.Concurrency.CancelInProgress {
			a.supersede(w.b.ID, func(other *work) bool { return overtaken(w, other) })
		}
		return // commit lets it in
	}
	w.record(w.b.Open(a.Now()), nil)
}

// supersede ends the earlier builds that a build makes superfluous, as makes says.
// The lock is held.
func (a *Architect) supersede(by build.ID, makes func(other *work) bool) {
	for _, other := range a.works {
		if other.b.ID.Number >= by.Number || other.b.State().Final() || !makes(other) {
			continue
		}
		move := build.Move{Kind: build.Canceling, Reason: build.ReasonSuperseded + by.String(), At: a.Now()}
		if err := other.do(move, nil); err != nil {
			a.Logger.Error("supersede", "build", other.b.ID.String(), "err", err)
			continue
		}
		a.touch(other)
		a.stopAll(other)
	}
}

// letIn opens the queued builds whose turn it is by now. The lock is held.
func (a *Architect) letIn() {
	if len(a.queued) == 0 {
		return
	}
	slices.SortFunc(a.queued, func(v, w *work) int { return cmp.Compare(v.b.ID.Number, w.b.ID.Number) })
	a.queued = slices.DeleteFunc(a.queued, func(w *work) bool {
		if w.b.State().Final() {
			return true // canceled while it waited
		}
		for _, other := range a.works {
			if together(w, other) && (!other.b.Started.IsZero() || other.b.ID.Number < w.b.ID.Number) {
				return false
			}
		}
		w.record(w.b.Open(a.Now()), nil)
		a.touch(w)
		return true
	})
}

// together tells two unfinished builds of one group. One that waits for approval is
// not among them yet: it may wait for days.
func together(w, other *work) bool {
	return other != w && other.site == w.site && other.b.Group == w.b.Group && !other.b.State().Final() && !other.b.AwaitsApproval()
}

// overtaken tells a build of the group that ends because w comes. What a stranger
// sent ends nobody else's.
func overtaken(w, other *work) bool {
	return together(w, other) && (w.b.Trigger.Trusted() || !other.b.Trigger.Trusted())
}
