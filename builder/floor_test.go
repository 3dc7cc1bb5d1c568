package builder

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/executor"
)

// A scale is an engine's age, as a test has it.
type scale struct {
	reason atomic.Pointer[error]
	asked  atomic.Int32
}

func (s *scale) set(err error) { s.reason.Store(&err) }

func (s *scale) floor(context.Context) error {
	s.asked.Add(1)
	return *s.reason.Load()
}

// again returns once the engine was asked twice more, so that an answer from now on
// counted.
func (s *scale) again(w *bench) {
	for asked := s.asked.Load(); s.asked.Load() < asked+2; {
		<-w.ear.here
	}
}

var errAged = errors.New("runc 1.1.5 is too old")

// weighed is a builder whose engine has an age, and the task for it.
func weighed(t *testing.T) (*bench, *scale, plan.Task) {
	t.Helper()
	w, s := newBench(t), &scale{}
	s.set(errAged)
	w.Floor = s.floor
	onEngine(w)
	w.pace.beat, w.pace.sweep = time.Millisecond, time.Millisecond
	return w, s, plan.Task{Steps: []plan.Step{{Type: plan.StepRun, Name: "x", Run: &plan.Run{Image: "img", Script: "true"}}}}
}

// says waits for a sign of life with a reason for taking nothing.
func (w *bench) says(reason string) {
	for p := range w.ear.here {
		if p.Reason == reason {
			return
		}
	}
}

func strangers(a *dispatch.Assignment) { a.Untrusted = true }

// A builder for code of strangers takes nothing as long as its engine is too old,
// says so, and needs no restart once the engine is a newer one.
func TestOldEngineTakesNoCodeOfStrangers(t *testing.T) {
	w, s, task := weighed(t)
	w.Untrusted = true
	defer w.serve(t)()
	w.says(errAged.Error())
	for _, now := range []error{errAged, executor.ErrEngine} { // while the engine is exchanged, nothing new is known
		s.set(now)
		s.again(w)
		if got := refusal(t, w.Take(assignment("s0t1", 1))); got != errAged.Error() {
			t.Errorf("refused with %q when the engine says %v", got, now)
		}
	}
	s.set(nil)
	w.says("")
	w.take(t, task)
	if r := <-w.ear.ends; r.Verdict != dispatch.Succeeded {
		t.Errorf("ended %s, %q", r.Verdict, r.Reason)
	}
	if n := strings.Count(w.log.String(), "code of strangers is refused here"); n != 1 {
		t.Errorf("the log tells it %d times: %s", n, w.log.String())
	}
}

// A builder for other code is warned once, and refuses what only its architect knows
// to be code of strangers.
func TestOldEngineWarnsOthers(t *testing.T) {
	w, s, task := weighed(t)
	defer w.serve(t)()
	w.says("")
	s.again(w)
	if n := strings.Count(w.log.String(), "code of strangers is refused here"); n != 1 {
		t.Errorf("the log tells it %d times: %s", n, w.log.String())
	}
	a := assignment("s0t1", 1)
	strangers(&a)
	if got := refusal(t, w.Take(a)); got != errAged.Error() {
		t.Errorf("refused with %q", got)
	}
	w.take(t, task)
	if r := <-w.ear.ends; r.Verdict != dispatch.Succeeded {
		t.Errorf("ended %s, %q", r.Verdict, r.Reason)
	}
}

// What the engine is counts when a step is about to run in it: it may have come late.
func TestEngineIsWeighedForEachAttempt(t *testing.T) {
	for name, c := range map[string]struct {
		own    bool
		given  []func(*dispatch.Assignment)
		reason error
		want   dispatch.Verdict
	}{
		"said by the builder":   {own: true, reason: errAged, want: dispatch.Interrupted},
		"said by the architect": {given: []func(*dispatch.Assignment){strangers}, reason: errAged, want: dispatch.Interrupted},
		"no answer":             {own: true, reason: fmt.Errorf("gone: %w", executor.ErrEngine), want: dispatch.Interrupted},
		"new enough":            {own: true, want: dispatch.Succeeded},
		"trusted":               {reason: errAged, want: dispatch.Succeeded},
	} {
		t.Run(name, func(t *testing.T) {
			w, s, task := weighed(t)
			s.set(c.reason)
			w.Untrusted = c.own
			r := w.build(t, task, c.given...)
			if r.Verdict != c.want || c.want == dispatch.Interrupted && r.Reason != c.reason.Error() {
				t.Errorf("ended %s, %q; want %s", r.Verdict, r.Reason, c.want)
			}
			if ran := len(w.Docker.(*engine).seen) > 0; ran != (c.want == dispatch.Succeeded) {
				t.Errorf("a step ran: %v", ran)
			}
		})
	}
}

// Each workspace of code of strangers is its own, also where only the architect knows
// that it is such.
func TestStrangersGetTheirOwnCopies(t *testing.T) {
	for _, untrusted := range []bool{false, true} {
		w := newBench(t)
		a := &attempt{builder: w.Builder, given: dispatch.Assignment{Untrusted: untrusted}}
		want, err := a.source()
		if err != nil || want.Own != untrusted {
			t.Errorf("source of an assignment with Untrusted %v = %+v, %v", untrusted, want, err)
		}
	}
}
