package architect_test

import (
	"strings"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// onePlan is a plan of one stage of tasks.
func onePlan(tasks ...plan.Task) *plan.Plan {
	for i := range tasks {
		tasks[i].Key = plan.Key(0, i)
		tasks[i].Steps = []plan.Step{{Type: plan.StepRun, Name: "true", Run: &plan.Run{Command: []plan.Text{"true"}}}}
	}
	return &plan.Plan{
		Version: plan.Version, Kind: plan.OfPipeline, Name: "default", Event: plan.EventPush, Commit: head, ConfigCommit: head,
		Stages: []plan.Stage{{Name: "one", Tasks: tasks}},
	}
}

// start submits a plan.
func (g *rig) start(p *plan.Plan) *architect.Watch {
	g.t.Helper()
	v, err := g.a.Submit(g.t.Context(), g.site, p, plan.Trigger{ID: "t", Event: plan.EventPush, Commit: head}, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(v.Close)
	return v
}

// until waits for a build to be recorded as ok says.
func until(t *testing.T, v *architect.Watch, ok func(*build.Build) bool) *build.Build {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		b, _, changed := v.State()
		if ok(b) {
			return b
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("it did not come to that: %+v", b.Stages)
		}
	}
}

func TestFailedTasksAreTriedAgain(t *testing.T) {
	g := newRig(t, twoStages(), func(a dispatch.Assignment, _ func() string) dispatch.Result {
		switch n := a.Attempt.Number; {
		case n == 2:
			return dispatch.Result{Verdict: dispatch.Interrupted, Reason: "drained"}
		case n < 5 || a.Task.Name == "worse":
			return dispatch.Result{Verdict: dispatch.Failed, Reason: "exit 2"}
		}
		return dispatch.Result{Verdict: dispatch.Succeeded}
	})
	g.a.Attempts = 2
	g.run()
	g.here()
	g.start(onePlan(
		plan.Task{Name: "bad", Retry: plan.Retry{Times: 3}}, plan.Task{Name: "worse", Retry: plan.Retry{Times: 1}},
	))
	b := g.final()
	bad, worse := b.Stages[0].Tasks[0], b.Stages[0].Tasks[1]
	if bad.State != build.Succeeded || bad.Attempt != 5 || len(bad.Retried) != 3 || len(bad.Lost) != 1 || bad.Retried[2].Reason != "exit 2, retry 3/3" {
		t.Errorf("bad is %s at attempt %d after %+v and %+v; want succeeded at 5", bad.State, bad.Attempt, bad.Retried, bad.Lost)
	}
	if worse.State != build.Failed || worse.Reason != "exit 2" || len(worse.Retried) != 1 {
		t.Errorf("worse is %s, %q after %+v; want failed, exit 2, after one retry", worse.State, worse.Reason, worse.Retried)
	}
}

func TestBackoffIsWaitedFor(t *testing.T) {
	g := newRig(t, twoStages(), func(a dispatch.Assignment, _ func() string) dispatch.Result {
		if a.Attempt.Number == 1 {
			return dispatch.Result{Verdict: dispatch.Failed, Reason: "exit 2"}
		}
		return dispatch.Result{Verdict: dispatch.Succeeded}
	})
	g.run()
	g.here()
	v := g.start(onePlan(plan.Task{Name: "bad", Retry: plan.Retry{Times: 1, Backoff: plan.Duration(30 * time.Minute)}}))
	failed := func(b *build.Build) bool { return len(b.Stages[0].Tasks[0].Retried) == 1 }
	b := until(t, v, failed)
	g.a.Overdue() // there is room for it
	g.advance(29 * time.Minute)
	g.here() // or the builder would be lost
	g.a.Overdue()
	if why, ok := g.a.Why(b.ID, "s0t0"); !ok || !strings.HasPrefix(why, "tried again in 1m") || !strings.HasSuffix(why, "exit 2, retry 1/1") {
		t.Errorf("Why = %q, %v; want that it is tried again in a minute", why, ok)
	}
	g.advance(time.Minute)
	g.here()
	g.a.Overdue()
	if b := g.final(); b.State() != build.Succeeded || b.Stages[0].Tasks[0].Attempt != 2 {
		t.Errorf("build %s at attempt %d", b.State(), b.Stages[0].Tasks[0].Attempt)
	}
}

// Nothing but the clock ends a backoff: no builder needs to say anything.
func TestBackoffEndsByItself(t *testing.T) {
	g := newRig(t, twoStages(), func(a dispatch.Assignment, _ func() string) dispatch.Result {
		if a.Attempt.Number == 1 {
			return dispatch.Result{Verdict: dispatch.Failed, Reason: "exit 2"}
		}
		return dispatch.Result{Verdict: dispatch.Succeeded}
	})
	g.a.Now = time.Now
	g.run()
	g.here()
	g.start(onePlan(plan.Task{Name: "bad", Retry: plan.Retry{Times: 1, Backoff: plan.Duration(10 * time.Millisecond)}}))
	if b := g.final(); b.State() != build.Succeeded {
		t.Errorf("build %s, %q", b.State(), b.Reason())
	}
}

func TestCancelDuringABackoff(t *testing.T) {
	g := newRig(t, twoStages(), func(dispatch.Assignment, func() string) dispatch.Result {
		return dispatch.Result{Verdict: dispatch.Failed, Reason: "exit 2"}
	})
	g.run()
	g.here()
	v := g.start(onePlan(plan.Task{Name: "bad", Retry: plan.Retry{Times: 1, Backoff: plan.Duration(time.Hour)}}))
	b := until(t, v, func(b *build.Build) bool { return len(b.Stages[0].Tasks[0].Retried) == 1 })
	if err := g.a.Cancel(t.Context(), b.ID, "canceled"); err != nil {
		t.Fatal(err)
	}
	if b := g.final(); b.Stages[0].Tasks[0].Reason != "canceled" {
		t.Errorf("the task ended for %q", b.Stages[0].Tasks[0].Reason)
	}
}

// What the builder says with its last word about how far it came counts.
func TestInterruptedEffects(t *testing.T) {
	g := newRig(t, twoStages(), func(dispatch.Assignment, func() string) dispatch.Result {
		return dispatch.Result{Verdict: dispatch.Interrupted, Reason: "drained"} // the rig's builder says that all steps ended
	})
	g.run()
	g.here()
	g.start(onePlan(plan.Task{Name: "deploy", Effects: true}))
	if task := g.final().Stages[0].Tasks[0]; task.State != build.Failed || task.Reason != "interrupted, effects unknown" || task.Attempt != 1 {
		t.Errorf("the task is %s, %q at attempt %d; want failed, effects unknown, at 1", task.State, task.Reason, task.Attempt)
	}
}

// A builder that goes away in the setup of a deploy has done nothing yet.
func TestEffectsInterruptedInSetup(t *testing.T) {
	started := make(chan dispatch.Attempt, 10)
	g := newRig(t, twoStages(), func(a dispatch.Assignment, wait func() string) dispatch.Result {
		started <- a.Attempt
		if a.Attempt.Number > 1 {
			return dispatch.Result{Verdict: dispatch.Succeeded}
		}
		wait()
		return dispatch.Result{}
	})
	g.run()
	g.here()
	v := g.start(onePlan(plan.Task{Name: "deploy", Effects: true}))
	at := <-started
	steps := []build.Step{{State: build.Building}, {State: build.Waiting}}
	if err := g.wire.Step(t.Context(), dispatch.Progress{Attempt: at, Steps: steps}); err != nil {
		t.Fatal(err)
	}
	until(t, v, func(b *build.Build) bool { return b.Stages[0].Tasks[0].Steps[0].State == build.Building })
	g.worker.mu.Lock()
	g.worker.boot, g.worker.running = "two", nil
	g.worker.mu.Unlock()
	g.here()
	if task := g.final().Stages[0].Tasks[0]; task.State != build.Succeeded || task.Attempt != 2 {
		t.Errorf("the task is %s, %q at attempt %d; want succeeded at 2", task.State, task.Reason, task.Attempt)
	}
}
