package builder

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/executor"
)

// deploy is a task of two steps in containers that has effects, and counts the
// steps that run. Before each it asks before.
func deploy(w *bench, before func()) (plan.Task, *atomic.Int32) {
	ran := &atomic.Int32{}
	e := &engine{}
	e.answer = func(context.Context, executor.Command) (executor.Result, error) {
		before()
		ran.Add(1)
		return executor.Result{}, nil
	}
	w.Docker = e
	task := script("deploy", "tell")
	for i := range task.Steps {
		task.Steps[i].Run.Image = "alpine"
	}
	task.Effects = true
	return task, ran
}

// The first step with effects begins when the architect has taken that it does,
// however often it has to be asked.
func TestEffectsBeginWhenTheyAreKnown(t *testing.T) {
	w := newBench(t)
	var asked, known atomic.Int32
	w.ear.onStep = func(p dispatch.Progress) error {
		if p.Steps[1].State == build.Waiting {
			return nil // that something else was heard is not enough
		}
		if asked.Add(1) < 50 {
			return errLost
		}
		known.Store(1)
		return nil
	}
	task, ran := deploy(w, func() {
		if known.Load() == 0 {
			t.Error("a step began that the architect knows nothing of")
		}
	})
	r := w.build(t, task)
	if r.Verdict != dispatch.Succeeded || ran.Load() != 2 {
		t.Errorf("%s %q after %d steps", r.Verdict, r.Reason, ran.Load())
	}
	w.checkClean(t)
}

// If the architect is not heard until the builder stops, nothing has begun, and
// the result says so: another attempt may do it all.
func TestEffectsThatAreNotKnownDoNotBegin(t *testing.T) {
	for name, end := range map[string]func(w *bench, a dispatch.Attempt, stop func()) error{
		"stopped":  func(_ *bench, _ dispatch.Attempt, stop func()) error { stop(); return nil },
		"canceled": func(w *bench, a dispatch.Attempt, _ func()) error { return w.Stop(a, "canceled") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			w.Grace = time.Minute
			enough := make(chan struct{})
			var asked atomic.Int32
			w.ear.onStep = func(p dispatch.Progress) error {
				if p.Steps[1].State == build.Building && asked.Add(1) == 50 {
					close(enough)
				}
				return errLost
			}
			task, ran := deploy(w, func() {})
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { w.Run(ctx); close(ended) }()
			a := w.take(t, task)
			select {
			case <-enough:
			case r := <-w.ear.ends:
				t.Fatalf("it ended before it was known to begin: %s %q", r.Verdict, r.Reason)
			}
			if err := end(w, a, stop); err != nil {
				t.Fatal(err)
			}
			r := <-w.ear.ends
			stop()
			<-ended
			if ran.Load() != 0 || r.Steps[1].State != build.Waiting || !r.Steps[1].Started.IsZero() {
				t.Errorf("%d steps ran; the result has %+v", ran.Load(), r.Steps[1])
			}
			w.checkClean(t)
		})
	}
}
