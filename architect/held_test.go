package architect_test

import (
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A re-run needs no second approval if it builds what was approved, and if
// somebody asked for it who could approve it.
func TestRerunOfWhatWasApproved(t *testing.T) {
	for name, c := range map[string]struct {
		may    bool
		change func(g *rig, t *plan.Trigger)
		held   bool
	}{
		"the same":          {may: true},
		"by a stranger":     {held: true},
		"after main moved":  {may: true, held: true, change: func(g *rig, _ *plan.Trigger) { g.repo.tips["refs/heads/main"] = third }},
		"of another commit": {may: true, held: true, change: func(_ *rig, t *plan.Trigger) { t.Commit = third }},
		"failed only":       {may: true, change: func(_ *rig, t *plan.Trigger) { t.Failed = true }},
		"failed, stranger":  {held: true, change: func(_ *rig, t *plan.Trigger) { t.Failed = true }},
		"by nobody":         {may: true, held: true, change: func(_ *rig, t *plan.Trigger) { t.Actor = "" }},
	} {
		t.Run(name, func(t *testing.T) {
			g, pr := forked(t, func(dispatch.Assignment, func() string) dispatch.Result {
				return dispatch.Result{Verdict: dispatch.Failed, Reason: "exit 1"}
			})
			g.run()
			g.here()
			first := g.one(pr)
			if err := g.a.Approve(t.Context(), first.ID, approvalOf(first)); err != nil {
				t.Fatal(err)
			}
			g.final()
			pr.ID, pr.Request, pr.Parent, pr.Name, pr.Actor, pr.MayApprove = "again", "again", first.ID.String(), "default", "bob", c.may
			if c.change != nil {
				c.change(g, &pr)
			}
			ids := g.ask(pr)
			if c.held {
				v, ok := g.a.Await(t.Context(), ids[0])
				if !ok {
					t.Fatal("the re-run is over; want held")
				}
				defer v.Close()
				if b, _, _ := v.State(); !b.AwaitsApproval() {
					t.Errorf("it is %s, %+v; want held", b.State(), b.Approval)
				}
				return
			}
			if b := g.final(); b.ID != ids[0] || b.Approval == nil || b.Approval.By != "bob" || b.Started.IsZero() {
				t.Errorf("build %s by %+v started %s; want approved by bob", b.ID, b.Approval, b.Started)
			}
		})
	}
}

// A build that waits for approval holds up nobody of its group, and a stranger's
// ends none of the others.
func TestHeldBuildAndItsGroup(t *testing.T) {
	config := contained(twoStages())
	const file = ".velocityci/pipelines/default.yml"
	config[file] = "concurrency: {group: g, cancelInProgress: true}\n" + config[file]
	release := make(chan struct{})
	g := newRig(t, config, func(dispatch.Assignment, func() string) dispatch.Result {
		<-release
		return dispatch.Result{Verdict: dispatch.Succeeded}
	})
	g.run()
	g.here()
	held := g.one(plan.Trigger{ID: "pr", Event: plan.EventPullRequest, Ref: "refs/pull/1/head", Target: "refs/heads/main", Commit: head})
	pushed := g.one(plan.Trigger{ID: "push", Event: plan.EventPush, Ref: "refs/heads/main", Commit: head})
	if pushed.Started.IsZero() {
		t.Errorf("the push waits: %s", pushed.TaskReason(&pushed.Stages[0].Tasks[0]))
	}
	later := g.one(plan.Trigger{ID: "later", Event: plan.EventPullRequest, Ref: "refs/pull/2/head", Target: "refs/heads/main", Commit: head})
	if err := g.a.Approve(t.Context(), later.ID, approvalOf(later)); err != nil {
		t.Fatal(err)
	}
	if !held.AwaitsApproval() {
		t.Errorf("the first is %s, %q; want held", held.State(), held.Reason())
	}
	close(release)
	if b := g.final(); b.ID != pushed.ID || b.State() != build.Succeeded {
		t.Errorf("build %s of the %s %s, %q; want the push built", b.ID, b.Trigger.Event, b.State(), b.Reason())
	}
}

// The branch that says how a stranger's pull request is built must be there.
func TestForkWithoutItsTarget(t *testing.T) {
	g, pr := forked(t, succeed)
	pr.Target = "refs/heads/gone"
	g.run()
	g.here()
	g.submit(pr)
	if b := g.final(); b.State() != build.Failed || !strings.Contains(b.Reason(), `"refs/heads/gone"`) {
		t.Errorf("it %s, %q", b.State(), b.Reason())
	}
}
