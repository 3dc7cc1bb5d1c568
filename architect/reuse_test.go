package architect_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// leaves is a builder whose tasks leave a test and an artifact behind.
func leaves(dispatch.Assignment, func() string) dispatch.Result {
	return dispatch.Result{
		Verdict: dispatch.Succeeded, Tests: build.Tests{Passed: 3},
		Artifacts: []build.Artifact{{Name: "bin/x", Size: 1, SHA256: "aa"}},
	}
}

// keyed is a plan of two tasks that are reused under one key each, and one that
// has effects.
func keyed() *plan.Plan {
	return onePlan(plan.Task{Name: "a", ReuseKey: "ka"}, plan.Task{Name: "b", ReuseKey: "kb"},
		plan.Task{Name: "deploy", ReuseKey: "kd", Effects: true})
}

func (g *rig) submitPlan(p *plan.Plan, t plan.Trigger) *build.Build {
	g.t.Helper()
	t.ID, t.Commit = "t", head
	v, err := g.a.Submit(g.t.Context(), g.site, p, t, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	v.Close()
	return g.final()
}

func TestSuccessesAreReused(t *testing.T) {
	g := newRig(t, twoStages(), leaves)
	g.run()
	g.here()
	push := plan.Trigger{Event: plan.EventPush}
	first := g.submitPlan(keyed(), push)
	second := g.submitPlan(keyed(), push)
	for i, name := range []string{"a", "b"} {
		task, origin := second.Stages[0].Tasks[i], build.Origin{Build: first.ID, Task: plan.Key(0, i)}
		if task.State != build.Succeeded || task.Reason != "reused" || task.Reused != origin || task.Attempt != 0 {
			t.Errorf("%s is %s, %q, of %+v at attempt %d; want reused of %+v", name, task.State, task.Reason, task.Reused, task.Attempt, origin)
		}
		if diff := cmp.Diff(first.Stages[0].Tasks[i].Artifacts, task.Artifacts); diff != "" || task.Tests.Passed != 3 {
			t.Errorf("%s left %+v behind, and other artifacts (-first +second):\n%s", name, task.Tests, diff)
		}
	}
	if deploy := second.Stages[0].Tasks[2]; deploy.Attempt != 1 || !deploy.Reused.Zero() {
		t.Errorf("the deploy is %q of %+v; want built", deploy.Reason, deploy.Reused)
	}
	third := g.submitPlan(keyed(), push)
	if origin := third.Stages[0].Tasks[0].Reused; origin.Build != first.ID {
		t.Errorf("the third build names %s; want %s, where it was built", origin.Build, first.ID)
	}
}

// Who wants it built gets it built.
func TestWhatIsNotReused(t *testing.T) {
	for name, c := range map[string]struct {
		first, second plan.Trigger
		site          bool
		lost          bool
	}{
		"local source":   {first: plan.Trigger{Event: plan.EventLocal}, second: plan.Trigger{Event: plan.EventPush}},
		"pull request":   {first: plan.Trigger{Event: plan.EventPullRequest, Trust: plan.TrustWriter}, second: plan.Trigger{Event: plan.EventPush}},
		"no reuse":       {first: plan.Trigger{Event: plan.EventPush}, second: plan.Trigger{Event: plan.EventPush, NoReuse: true}},
		"rerun":          {first: plan.Trigger{Event: plan.EventPush}, second: plan.Trigger{Event: plan.EventPush, Parent: "memory-1"}},
		"switched off":   {first: plan.Trigger{Event: plan.EventPush}, second: plan.Trigger{Event: plan.EventPush}, site: true},
		"artifacts gone": {first: plan.Trigger{Event: plan.EventPush}, second: plan.Trigger{Event: plan.EventPush}, lost: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, twoStages(), leaves)
			g.site.NoReuse = c.site
			if c.lost {
				g.site.Kept = func(_ context.Context, of build.Origin) bool { return of.Task != "s0t0" }
			}
			g.run()
			g.here()
			g.submitPlan(keyed(), c.first)
			if task := g.submitPlan(keyed(), c.second).Stages[0].Tasks[0]; task.Attempt != 1 {
				t.Errorf("the task is %q of %+v; want built", task.Reason, task.Reused)
			}
		})
	}
}

// A task that is done can be reused although its build goes on.
func TestSuccessesOfBuildsUnderWayAreReused(t *testing.T) {
	release := make(chan struct{})
	g := newRig(t, twoStages(), func(a dispatch.Assignment, _ func() string) dispatch.Result {
		if a.Task.Name == "deploy" {
			<-release
		}
		return dispatch.Result{Verdict: dispatch.Succeeded}
	})
	g.run()
	g.here()
	v := g.start(keyed())
	first := until(t, v, func(b *build.Build) bool {
		return b.Stages[0].Tasks[0].State == build.Succeeded && b.Stages[0].Tasks[1].State == build.Succeeded
	})
	second := until(t, g.start(keyed()), func(b *build.Build) bool { return !b.Started.IsZero() })
	if task := second.Stages[0].Tasks[0]; task.Reused.Build != first.ID {
		t.Errorf("the task is %s, %q of %+v; want reused of %s", task.State, task.Reason, task.Reused, first.ID)
	}
	close(release)
	g.final()
	g.final()
}

func TestRerunOfWhatFailed(t *testing.T) {
	broken := true
	g := newRig(t, twoStages(), func(a dispatch.Assignment, wait func() string) dispatch.Result {
		if a.Task.Name == "b" && broken {
			return dispatch.Result{Verdict: dispatch.Failed, Reason: "exit 2"}
		}
		return leaves(a, wait)
	})
	g.run()
	g.here()
	g.site.Look()
	parent := g.final()
	broken = false
	again := plan.Trigger{
		Event: plan.EventPush, Ref: "refs/heads/main", Commit: head, Name: "default",
		Parent: parent.ID.String(), Failed: true, Request: "again",
	}
	g.submit(again)
	b := g.final()
	if b.State() != build.Succeeded || b.Plan != parent.Plan || b.Trigger.Parent != parent.ID.String() || b.Config != parent.Config {
		t.Errorf("build %s %q of plan %s, parent %s; want succeeded by the plan %s", b.State(), b.Reason(), b.Plan, b.Trigger.Parent, parent.Plan)
	}
	kept, built, later := b.Stages[0].Tasks[0], b.Stages[0].Tasks[1], b.Stages[1].Tasks[0]
	if kept.Reason != "reused" || kept.Reused != (build.Origin{Build: parent.ID, Task: "s0t0"}) || len(kept.Artifacts) != 1 {
		t.Errorf("what succeeded is %q of %+v with %d artifacts", kept.Reason, kept.Reused, len(kept.Artifacts))
	}
	if built.Attempt != 1 || later.Attempt != 1 {
		t.Errorf("what failed is at attempt %d, what never ran at %d; want both built once", built.Attempt, later.Attempt)
	}
	g.submit(again) // an equal one is linked
	if err := g.a.WaitIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if known, err := g.ledger.OfCommit(t.Context(), head); err != nil || len(known) != 2 {
		t.Errorf("%d builds, %v; want 2", len(known), err)
	}
}

func TestRerunOfWhatFailedIsRefused(t *testing.T) {
	release := make(chan struct{})
	g := newRig(t, twoStages(), func(dispatch.Assignment, func() string) dispatch.Result {
		<-release
		return dispatch.Result{Verdict: dispatch.Succeeded}
	})
	g.run()
	g.here()
	v := g.start(onePlan(plan.Task{Name: "a"}))
	running, _, _ := v.State()
	for parent, want := range map[string]string{
		running.ID.String(): "build memory-1 is not over: only then is it known what failed",
		"nobody-7":          "build nobody-7 is not here any more: velocity start builds its commit",
		"x":                 `build id "x" is not of the form k3f9a2-1234`,
	} {
		g.submit(plan.Trigger{Event: plan.EventPush, Commit: head, Name: "default", Parent: parent, Failed: true, Request: parent})
		if b := g.final(); b.State() != build.Failed || b.Reason() != want {
			t.Errorf("rerun of %s: %s, %q; want failed, %q", parent, b.State(), b.Reason(), want)
		}
	}
	close(release)
	g.final()
}

// A ledger that cannot be searched stops the architect, as one that cannot be read.
func TestReuseOfABrokenHistory(t *testing.T) {
	g := newRig(t, twoStages(), succeed)
	g.site.History = brokenHistory{history{g.ledger}}
	g.run()
	if _, err := g.a.Submit(t.Context(), g.site, keyed(), plan.Trigger{ID: "t", Event: plan.EventPush, Commit: head}, nil); !errors.Is(err, errBroken) {
		t.Errorf("Submit = %v; want the ledger's error", err)
	}
}

var errBroken = errors.New("broken")

type brokenHistory struct{ history }

func (brokenHistory) Reusable(context.Context, []string) (map[string]build.Success, error) {
	return nil, errBroken
}
