package architect

import (
	"context"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
)

// sweep looks after what is overdue, so that every state that is not final ends
// some day even if every message about it is lost. Nothing that goes well waits
// for it.
func (a *Architect) sweep(ctx context.Context) {
	turn := time.NewTicker(sweepEvery)
	defer turn.Stop()
	rested := time.NewTimer(sweepEvery)
	defer rested.Stop()
	last := time.Now()
	for {
		select {
		case <-turn.C: // whatever is retried meanwhile: that must not put off a silent builder's loss
			now := time.Now() // of the clock that the turns are of
			a.excuse(now.Sub(last) - sweepEvery)
			last = now
			a.Overdue()
		case <-rested.C:
			a.Overdue()
		case <-a.sooner:
		case <-ctx.Done():
			return
		}
		if wait, waits := a.backoff(); waits {
			rested.Reset(wait)
		} else {
			rested.Stop()
		}
	}
}

// excuse notes that the architect looks so much later than it meant to. It did not get
// to run, on a machine that is paused or has too much to do, and nobody who spoke was
// heard: that time is not counted as anybody's silence.
func (a *Architect) excuse(late time.Duration) {
	if late <= 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range a.builders {
		m.excused += late
	}
}

// resweep has the sweep look again when the next backoff ends.
func (a *Architect) resweep() {
	select {
	case a.sooner <- struct{}{}:
	default: // it is about to
	}
}

// rest notes when a task may be tried again. The lock is held.
func (a *Architect) rest(until time.Time) {
	if a.resting.IsZero() || until.Before(a.resting) {
		a.resting = until
	}
}

// backoff is how long it is until a task may be tried again, if one waits for that.
func (a *Architect) backoff() (wait time.Duration, waits bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return max(a.resting.Sub(a.Now()), 0), !a.resting.IsZero()
}

// Overdue ends what should have ended by now.
func (a *Architect) Overdue() {
	a.mu.Lock()
	defer a.commit()
	now := a.Now()
	if !a.resting.IsZero() && !now.Before(a.resting) {
		a.unsettled = true // somebody's backoff is over
	}
	if a.Deaf != nil && a.Deaf() {
		a.heard = now
	}
	for name, m := range a.builders {
		if a.silent(m.seen, now.Add(-m.excused)) && (a.Within == nil || !a.Within(name)) {
			a.Logger.Warn("builder lost", "builder", name, "seen", m.seen)
			delete(a.builders, name)
			a.lostWith(name, m.seen)
		}
	}
	for id, w := range a.works {
		a.unapproved(w, now)
		for key, f := range w.flights {
			a.judge(w, dispatch.Attempt{Build: id, Task: key, Number: f.attempt}, f, now)
		}
	}
}

// lostWith interrupts what a lost builder had when it was heard last. What it was
// offered since may yet reach it, and is judged by its own time. The lock is held.
func (a *Architect) lostWith(builder string, seen time.Time) {
	for id, w := range a.works {
		for key, f := range w.flights {
			if f.builder == builder && !f.sent.After(seen) {
				a.lose(w, dispatch.Attempt{Build: id, Task: key, Number: f.attempt}, "lost builder")
			}
		}
	}
}

// silent reports whether a builder that was heard last at a time is lost. One that
// was heard before a break, of the wire or of the architect's process, has to come
// back first.
func (a *Architect) silent(last, now time.Time) bool {
	if !last.After(a.heard) {
		return now.Sub(a.heard) > dispatch.BackWithin
	}
	return now.Sub(last) > dispatch.LostAfter
}

// judge ends one attempt if it is overdue.
func (a *Architect) judge(w *work, at dispatch.Attempt, f *flight, now time.Time) {
	limit := w.timeout(at.Task)
	switch present := a.builders[f.builder] != nil; {
	case !present && a.silent(f.sent, now):
		a.lose(w, at, "lost builder")
	case !f.stopped.IsZero() && now.Sub(f.stopped) > stopWithin+w.cleanup(at.Task):
		a.expire(w, at, build.Cancel, f.reason, now)
	case !f.stopped.IsZero():
		a.stop(w, at.Task, f, f.reason)
	case limit > 0 && now.Sub(f.sent) > limit+overtime+w.cleanup(at.Task):
		a.stop(w, at.Task, f, "timed out")
		a.expire(w, at, build.Fail, "timed out", now)
	}
}

// expire ends a task whose builder does not. The lock is held.
func (a *Architect) expire(w *work, at dispatch.Attempt, kind build.Kind, reason string, now time.Time) {
	if err := w.do(build.Move{Kind: kind, Task: at.Task, Attempt: at.Number, Reason: reason, At: now}, nil); err != nil {
		a.Logger.Error("end", "attempt", at.String(), "err", err)
		return
	}
	a.touch(w)
}

// cleanup is what the task's steps that always run may take on top.
func (w *work) cleanup(key string) time.Duration {
	if w.plan == nil {
		return 0
	}
	t, ok := w.plan.Task(key)
	if !ok {
		return 0
	}
	return t.Cleanup()
}

// timeout is how long an attempt of the task may take; 0 is for ever.
func (w *work) timeout(key string) time.Duration {
	if w.plan == nil {
		return 0
	}
	t, ok := w.plan.Task(key)
	if !ok {
		return 0
	}
	return time.Duration(t.Timeout)
}
