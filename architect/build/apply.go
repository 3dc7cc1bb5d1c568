package build

import (
	"fmt"
	"slices"
	"time"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// Apply changes the build by a move that was made before, by Do or in a stored
// event log, and returns the events it emits. It is the same function for the
// first time and for a replay, so both end in the same state. A move that Do
// would never have made is an error and changes nothing.
func (b *Build) Apply(m Move) ([]Event, error) {
	if m.Kind == Submit || b.Seq == 0 {
		if m.Kind != Submit || b.Seq != 0 || m.Seq != 1 || m.Request == nil {
			return nil, fmt.Errorf("build %s: move %d (%s) is no beginning, or a second one", b.ID, m.Seq, m.Kind)
		}
		b.submit(m)
		return nil, nil
	}
	if m.Seq != b.Seq+1 {
		return nil, fmt.Errorf("build %s: move %d follows move %d", b.ID, m.Seq, b.Seq)
	}
	if err := b.legal(m); err != nil {
		return nil, fmt.Errorf("build %s: move %d: %w", b.ID, m.Seq, err)
	}
	before := b.phase()
	b.change(m)
	b.Seq = m.Seq
	b.stamp(m)
	return b.events(m, before), nil
}

func (b *Build) submit(m Move) {
	*b = Build{Request: *m.Request, Seq: 1, Created: m.At}
	for _, s := range m.Request.Stages {
		stage := Stage{Name: s.Name}
		for _, t := range s.Tasks {
			stage.Tasks = append(stage.Tasks, t.task())
		}
		b.Stages = append(b.Stages, stage)
	}
}

// legal refuses moves that cannot follow the build's state.
func (b *Build) legal(m Move) error {
	switch {
	case m.Kind == Notice:
		return nil
	case b.State().Final():
		return fmt.Errorf("%s after the build %s", m.Kind, b.State())
	case m.Kind == Refuse:
		if !b.Started.IsZero() || m.Reason == "" {
			return fmt.Errorf("a build is refused with a reason (here %q) and before it starts (here %s)", m.Reason, b.State())
		}
		return nil
	case m.Kind == Canceling:
		if b.Canceled != "" || m.Reason == "" {
			return fmt.Errorf("a build is canceled once, with a reason (here %q, then %q)", b.Canceled, m.Reason)
		}
		return nil
	case m.Kind == Approve:
		if b.Approval != nil {
			return fmt.Errorf("a build is approved once (by %s)", b.Approval.By)
		}
		return b.approvable(m.Approval)
	}
	t, ok := b.Task(m.Task)
	if !ok {
		return fmt.Errorf("no task %q", m.Task)
	}
	if want := t.attempt(m.Kind); m.Attempt != want {
		return fmt.Errorf("%s by attempt %d of task %s, which is at %d", m.Kind, m.Attempt, m.Task, want)
	}
	if m.Kind == StepMoved {
		return t.legalStep(m)
	}
	return b.legalTask(t, m)
}

// attempt is the number that a move of this kind must carry.
func (t *Task) attempt(on Kind) int {
	if on == Assign {
		return t.Attempt + 1
	}
	return t.Attempt
}

// legalTask refuses what the table of moves does, what the task's rules do, and
// what comes out of turn.
func (b *Build) legalTask(t *Task, m Move) error {
	to, err := Next(t.State, m.Kind)
	if err != nil {
		return err
	}
	if m.From != t.State || m.To != to || m.From == m.To {
		return &MoveError{From: t.State, On: m.Kind, To: m.To}
	}
	if err := b.obeys(t, m.Kind); err != nil || m.From != Waiting {
		return err
	}
	if b.AwaitsApproval() {
		return fmt.Errorf("task %s cannot %s before the build is approved", t.Key, m.Kind)
	}
	stage, _, err := plan.ParseKey(t.Key)
	if err != nil {
		return err
	}
	for i := range b.Stages[:stage] {
		if s := b.Stages[i].State(); s != Succeeded {
			return fmt.Errorf("task %s cannot %s while stage %s is %s", t.Key, m.Kind, b.Stages[i].Name, s)
		}
	}
	return nil
}

// legalStep accepts a step that begins or ends within a running attempt. A
// scheduled task counts: the message that it began may have been lost.
func (t *Task) legalStep(m Move) error {
	if m.Step == nil || m.Index < 0 || m.Index >= len(t.Steps) {
		return fmt.Errorf("task %s has no step %d", t.Key, m.Index)
	}
	running := t.State == Scheduled || t.State == Building
	moves := m.Step.State == Building || m.Step.State.Final()
	if now := t.Steps[m.Index].State; !running || !moves || now.Final() {
		return fmt.Errorf("step %d, %s, of a task that is %s cannot become %q", m.Index, now, t.State, m.Step.State)
	}
	return nil
}

// change carries out a legal move.
func (b *Build) change(m Move) {
	switch m.Kind {
	case Refuse:
		b.Refused = m.Reason
	case Canceling:
		b.Canceled = m.Reason
	case Approve:
		b.Approval = m.Approval
	case Notice:
		b.Notices = append(b.Notices, m.Reason)
	default:
		t, _ := b.Task(m.Task)
		t.move(m)
	}
}

// move changes a task; m is known to be legal.
func (t *Task) move(m Move) {
	if m.Kind == StepMoved {
		t.Steps = slices.Clone(t.Steps) // copies of the build share the old ones
		t.Steps[m.Index] = *m.Step
		return
	}
	t.State, t.Reason = m.To, m.Reason
	switch m.Kind {
	case Start:
		t.Ready = m.At
	case Assign:
		t.Attempt, t.Builder = m.Attempt, m.Builder
	case Begin:
		t.Started = m.At
	case Interrupt:
		t.Lost = append(slices.Clip(t.Lost), Lost{Attempt: t.Attempt, Builder: t.Builder, Reason: m.Reason, Ended: m.At})
		t.Ready, t.Started, t.Builder = m.At, time.Time{}, ""
		t.resetSteps()
	case Retry:
		t.Retried = append(slices.Clip(t.Retried), Retried{
			Attempt: t.Attempt, Builder: t.Builder, Reason: m.Reason, Started: t.Started, Ended: m.At, Log: logOf(m), Failing: failing(m.Findings),
		})
		t.Ready, t.Started, t.Builder = m.Ready, time.Time{}, ""
		t.resetSteps()
	case Skip, Reuse:
		t.Finished = m.At
	case Succeed, Fail, Cancel:
		t.finish(m)
	}
}

// logOf is what a move says of a log, if anything.
func logOf(m Move) Log {
	if m.Log == nil {
		return Log{}
	}
	return *m.Log
}

// resetSteps forgets what the steps of an earlier attempt did.
func (t *Task) resetSteps() {
	t.Steps = slices.Clone(t.Steps)
	for i, s := range t.Steps {
		t.Steps[i] = Step{Type: s.Type, Name: s.Name, State: Waiting}
	}
}

// finish ends the task, and the step that was under way when it ended without
// it: a builder that was lost, or a message that was.
func (t *Task) finish(m Move) {
	t.Finished = m.At
	if t.Started.IsZero() && m.Kind == Succeed {
		t.Started = m.At // it must have begun; when is not known any more
	}
	t.Log = logOf(m)
	t.Tests, t.Findings, t.Artifacts = m.Tests, m.Findings, m.Artifacts
	for i := range t.Steps {
		if t.Steps[i].State == Building {
			t.Steps = slices.Clone(t.Steps)
			s := &t.Steps[i]
			s.State, s.Reason, s.Finished = m.To, m.Reason, m.At
		}
	}
}

// stamp keeps the build's own times, which follow from its tasks.
func (b *Build) stamp(m Move) {
	if b.Started.IsZero() && m.From == Waiting && m.To != Waiting {
		b.Started = m.At
	}
	if b.Finished.IsZero() && b.State().Final() {
		b.Finished = m.At
	}
}

// Replay recomputes a build from its stored moves.
func Replay(moves []Move) (*Build, error) {
	b := &Build{}
	for _, m := range moves {
		if _, err := b.Apply(m); err != nil {
			return nil, err
		}
	}
	if b.Seq == 0 {
		return nil, fmt.Errorf("replay: no moves")
	}
	return b, nil
}
