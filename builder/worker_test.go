package builder

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/builder/executor"
)

// held gives a builder whose steps run until release is called or they are
// stopped. started gets the task of each one.
func held(t *testing.T) (w *bench, started chan string, release func()) {
	t.Helper()
	w = newBench(t)
	started = make(chan string, 10)
	open := make(chan struct{})
	w.Host = &scripted{answer: func(ctx context.Context, cmd executor.Command) (executor.Result, error) {
		started <- cmd.Owner.Task
		select {
		case <-open:
			return executor.Result{}, nil
		case <-ctx.Done():
			return executor.Result{Exit: 143}, context.Cause(ctx)
		}
	}}
	return w, started, func() { close(open) }
}

func assignment(task string, number int) dispatch.Assignment {
	return dispatch.Assignment{
		Attempt: dispatch.Attempt{Build: build.ID{Store: "k3f9a2", Number: 7}, Task: task, Number: number},
		Task:    script("true"),
	}
}

func refusal(t *testing.T, err error) string {
	t.Helper()
	var refused *dispatch.RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("Take = %v; want a refusal", err)
	}
	return refused.Reason
}

func TestTakeTwiceRunsOnce(t *testing.T) {
	w, started, release := held(t)
	a := assignment("s0t0", 1)
	for range 2 {
		if err := w.Take(a); err != nil {
			t.Fatal(err)
		}
	}
	<-started
	release()
	<-w.ear.ends
	if err := w.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.Take(a); err != nil {
		t.Errorf("Take of an attempt that has ended = %v", err)
	}
	if n := w.folders.opened; n != 1 {
		t.Errorf("the attempt was begun %d times", n)
	}
}

func TestTakeRefusesWhenFull(t *testing.T) {
	w, started, release := held(t)
	for _, task := range []string{"s0t0", "s0t1"} {
		if err := w.Take(assignment(task, 1)); err != nil {
			t.Fatal(err)
		}
		<-started
	}
	if got := refusal(t, w.Take(assignment("s0t2", 1))); !strings.Contains(got, "2 of 2") {
		t.Errorf("refused with %q", got)
	}
	release()
}

// An architect may answer a result with the next assignment before its answer
// has even arrived.
func TestResultComesAfterTheSlotIsFree(t *testing.T) {
	w := newBench(t)
	w.Capacity = 1
	next := assignment("s0t1", 1)
	answered := make(chan error, 2)
	w.ear.onEnd = func(r dispatch.Result) error {
		if r.Attempt.Task == "s0t0" {
			answered <- w.Take(next)
		}
		return nil
	}
	if err := w.Take(assignment("s0t0", 1)); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Errorf("Take from within End = %v", err)
	}
	<-w.ear.ends
	<-w.ear.ends
}

func TestNewerAttemptStopsTheOlder(t *testing.T) {
	w, started, release := held(t)
	w.Capacity = 1
	for _, number := range []int{2, 3} {
		if err := w.Take(assignment("s0t0", number)); err != nil {
			t.Fatal(err)
		}
		<-started
	}
	if got := refusal(t, w.Take(assignment("s0t0", 1))); !strings.Contains(got, "attempt 3") {
		t.Errorf("refused with %q", got)
	}
	release()
	defer func() {
		if got := refusal(t, w.Take(assignment("s0t0", 1))); !strings.Contains(got, "attempt 3") {
			t.Errorf("after its end refused with %q", got)
		}
	}()
	if r := <-w.ear.ends; r.Attempt.Number != 3 || r.Verdict != dispatch.Succeeded {
		t.Errorf("the first result is %+v", r)
	}
	if err := w.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case r := <-w.ear.ends:
		t.Errorf("the older attempt reported %+v", r)
	default:
	}
	w.checkClean(t)
}

func TestDrainFinishesWhatRuns(t *testing.T) {
	w, started, release := held(t)
	if err := w.Take(assignment("s0t0", 1)); err != nil {
		t.Fatal(err)
	}
	<-started
	short, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Drain(short); !errors.Is(err, context.Canceled) {
		t.Errorf("Drain of a busy builder = %v", err)
	}
	if got := refusal(t, w.Take(assignment("s0t1", 1))); !strings.Contains(got, "draining") {
		t.Errorf("refused with %q", got)
	}
	release()
	if err := w.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := <-w.ear.ends; r.Verdict != dispatch.Succeeded {
		t.Errorf("ended %s, %q", r.Verdict, r.Reason)
	}
}

func TestStopOfAnUnknownAttempt(t *testing.T) {
	if err := newBench(t).Stop(dispatch.Attempt{Task: "s0t0", Number: 1}, "canceled"); err != nil {
		t.Error(err)
	}
}

func TestPresence(t *testing.T) {
	w, started, release := held(t)
	w.pace.beat = time.Millisecond
	a := assignment("s0t0", 1)
	if err := w.Take(a); err != nil {
		t.Fatal(err)
	}
	<-started
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { w.Run(ctx); close(ended) }()
	for range 3 {
		p := <-w.ear.here
		if p.Builder != "b1" || p.Boot != "boot1" || p.Capacity != 2 || p.Draining || len(p.Running) != 1 || p.Running[0] != a.Attempt {
			t.Errorf("presence %+v", p)
		}
	}
	if !w.owns(w.owner(a.Attempt).String()) || w.owns("b1/k3f9a2-7/s0t0/2") {
		t.Error("the builder does not know whose processes are its own")
	}
	release()
	<-w.ear.ends
	stop()
	<-ended
}
