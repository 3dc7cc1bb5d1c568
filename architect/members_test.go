package architect_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/require"
)

// While the wire is broken nobody is lost, and after it builders have time to come
// back. Who does not is lost then.
func TestBrokenWireLosesNobody(t *testing.T) {
	g := newRig(t, twoStages(), nil)
	deaf := true
	g.a.Deaf = func() bool { return deaf }
	if err := g.a.Open(t.Context(), g.site); err != nil {
		t.Fatal(err)
	}
	g.here()
	g.advance(time.Hour)
	g.a.Overdue()
	if members := g.a.Members(); len(members) != 1 {
		t.Fatalf("deaf for an hour: the members are %v; want one", members)
	}
	deaf = false
	g.advance(dispatch.BackWithin - time.Second)
	g.a.Overdue()
	if members := g.a.Members(); len(members) != 1 {
		t.Fatalf("soon after the break: the members are %v; want one", members)
	}
	g.here()
	g.advance(dispatch.LostAfter - time.Second)
	g.a.Overdue()
	if members := g.a.Members(); len(members) != 1 {
		t.Fatalf("heard after the break: the members are %v; want one", members)
	}
	g.advance(2 * time.Second)
	g.a.Overdue()
	if members := g.a.Members(); len(members) != 0 {
		t.Errorf("silent after it was heard again: the members are %v; want none", members)
	}
}

// What an attempt is stays with its builder while the wire is broken, and is
// somebody else's if that builder does not come back.
func TestBrokenWireKeepsAttempts(t *testing.T) {
	begun := make(chan int, 10)
	g := newRig(t, twoStages(), func(a dispatch.Assignment, _ func() string) dispatch.Result {
		begun <- a.Attempt.Number
		return dispatch.Result{} // never sent
	})
	var deaf atomic.Bool
	g.a.Deaf = deaf.Load
	g.run()
	g.here()
	g.site.Look()
	if n := <-begun; n != 1 {
		t.Fatalf("attempt %d has begun; want the first", n)
	}
	deaf.Store(true)
	g.advance(time.Hour)
	g.a.Overdue()
	deaf.Store(false)
	g.advance(dispatch.BackWithin - time.Second)
	g.a.Overdue()
	if m := g.a.Members()["b"]; m.Busy == 0 {
		t.Errorf("after the break the builder is %+v; want it to have its attempt", m)
	}
	g.advance(2 * time.Second)
	g.a.Overdue()
	if m, here := g.a.Members()["b"]; here {
		t.Errorf("the builder that did not come back is %+v; want it lost", m)
	}
}

// A builder that came back after a break is lost like any other when it is silent
// then, and what it has with it: the time to come back is for those who did not.
func TestBuilderIsLostSoonAfterItCameBack(t *testing.T) {
	begun := make(chan dispatch.Attempt, 10)
	g := newRig(t, twoStages(), func(a dispatch.Assignment, _ func() string) dispatch.Result {
		begun <- a.Attempt
		return dispatch.Result{} // never sent
	})
	var deaf atomic.Bool
	g.a.Deaf = deaf.Load
	g.run()
	g.here()
	g.site.Look()
	at := <-begun
	<-begun
	deaf.Store(true)
	g.advance(time.Hour)
	g.a.Overdue()
	deaf.Store(false)
	g.here()
	g.advance(dispatch.LostAfter + time.Second)
	g.a.Overdue()
	b, _ := g.build(at.Build)
	for _, task := range b.Stages[0].Tasks {
		if len(task.Lost) != 1 || task.Lost[0].Reason != "lost builder" {
			t.Errorf("task %s is %s after %+v; want it lost with its builder", task.Key, task.State, task.Lost)
		}
	}
}

// Tasks that are retried all the time do not keep the architect from seeing that a
// builder is silent.
func TestRetriesDoNotPutOffALoss(t *testing.T) {
	require.Bubble(t, func(t *testing.T) {
		g := newRig(t, twoStages(), func(dispatch.Assignment, func() string) dispatch.Result {
			pause(t.Context(), 400*time.Millisecond)
			return dispatch.Result{Verdict: dispatch.Failed, Reason: "exit 2"}
		})
		g.a.Now = time.Now
		g.run()
		g.here()
		v := g.start(onePlan(plan.Task{Name: "bad", Retry: plan.Retry{Times: 100}}))
		pause(t.Context(), dispatch.BackWithin+2*time.Second) // it came in the instant in which the architect began
		if members := g.a.Members(); len(members) != 0 {
			t.Errorf("silent for longer than %s: the members are %v; want none", dispatch.BackWithin, members)
		}
		b, _, _ := v.State()
		if err := g.a.Cancel(t.Context(), b.ID, "canceled"); err != nil {
			t.Error(err)
		}
		if b := g.final(); b.State() != build.Failed || len(b.Stages[0].Tasks[0].Retried) < 10 {
			t.Errorf("build %s after %d retries; want it failed after many", b.State(), len(b.Stages[0].Tasks[0].Retried))
		}
	})
}

// As long as sites are yet to be opened, a build that nobody knows may be one of
// theirs: its builder keeps it, and asks again.
func TestGathering(t *testing.T) {
	require.Bubble(t, func(t *testing.T) {
		g := newRig(t, twoStages(), succeed)
		var gathered atomic.Bool
		g.a.Gathering = func() bool { return !gathered.Load() }
		g.run()
		at := dispatch.Attempt{Build: build.ID{Store: "other0", Number: 1}, Task: "s0t0", Number: 1}
		stops := make(chan string, 2)
		g.worker.running = map[dispatch.Attempt]chan string{at: stops}
		end := func() error {
			return g.wire.End(t.Context(), dispatch.Result{Attempt: at, Verdict: dispatch.Succeeded, Log: logOf("")})
		}
		g.here()
		if err := end(); err == nil || errors.Is(err, dispatch.ErrStale) {
			t.Errorf("End while sites are yet to be opened = %v; want an error that has it asked again", err)
		}
		synctest.Wait()
		if len(stops) > 0 {
			t.Errorf("the attempt was stopped: %s", <-stops)
		}
		gathered.Store(true)
		g.here()
		if err := end(); !errors.Is(err, dispatch.ErrStale) {
			t.Errorf("End of what nobody knows = %v; want ErrStale", err)
		}
		synctest.Wait()
		if len(stops) != 1 {
			t.Errorf("the attempt was stopped %d times; want once", len(stops))
		}
	})
}
