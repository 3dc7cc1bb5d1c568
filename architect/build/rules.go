package build

import (
	"fmt"
	"time"
)

// Reasons that people see beside the state of a task.
const (
	ReasonSkipped = "skipped"
	ReasonReused  = "reused"
	ReasonUnknown = "interrupted, effects unknown"
)

// maxBackoff bounds the pause before a task is tried again.
const maxBackoff = time.Hour

// first is how a task leaves Waiting when its turn has come.
func (t *Task) first() (Kind, State, string) {
	switch {
	case t.Skip:
		return Skip, Succeeded, ReasonSkipped
	case !t.Reused.Zero():
		return Reuse, Succeeded, ReasonReused
	}
	return Start, Ready, ""
}

// turn makes of a verdict what the task's rules make of it: a failure is tried
// again as often as the plan says, and what may have changed the world is not
// begun anew.
func (b *Build) turn(t *Task, m *Move) {
	switch {
	case m.Kind == Fail && inFlight(t.State) && b.retries(t):
		n := len(t.Retried)
		m.Kind, m.Ready = Retry, m.At.Add(t.pause(n))
		m.Reason = fmt.Sprintf("%s, retry %d/%d", m.Reason, n+1, t.Retry.Times)
	case m.Kind == Interrupt && t.Effects && t.begun():
		m.Kind, m.Reason = Fail, ReasonUnknown
	}
}

// obeys refuses moves that the task's rules do not allow.
func (b *Build) obeys(t *Task, on Kind) error {
	switch {
	case on == Skip && !t.Skip:
		return fmt.Errorf("task %s is not to be skipped", t.Key)
	case on == Reuse && t.Reused.Zero():
		return fmt.Errorf("no success stands in for task %s", t.Key)
	case on == Retry && !b.retries(t):
		return fmt.Errorf("task %s is not tried again after %d of %d retries", t.Key, len(t.Retried), t.Retry.Times)
	case on == Interrupt && t.Effects && t.begun():
		return fmt.Errorf("task %s may have had effects: it cannot be begun anew", t.Key)
	}
	return nil
}

func inFlight(s State) bool { return s == Scheduled || s == Building }

// retries reports whether a failure of the current attempt is followed by another
// attempt. Interrupted ones are no failures and do not count.
func (b *Build) retries(t *Task) bool {
	return b.Canceled == "" && !t.Effects && len(t.Retried) < t.Retry.Times
}

// pause is how long a task waits before retry n, counted from 0.
func (t *Task) pause(n int) time.Duration {
	d := time.Duration(t.Retry.Backoff)
	for range n {
		if d *= 2; d > maxBackoff {
			return maxBackoff
		}
	}
	return min(d, maxBackoff)
}

// begun reports whether a step of the user's was under way in the current attempt.
func (t *Task) begun() bool {
	for _, s := range t.Steps[min(1, len(t.Steps)):] { // the first is the setup
		if s.State != Waiting {
			return true
		}
	}
	return false
}
