package build

import (
	"fmt"
	"reflect"
	"time"
)

// Kinds of moves that are not about one task's state.
const (
	Submit    Kind = "submit"    // the first move of every build
	Refuse    Kind = "refuse"    // no plan could be drawn; only before any task left Waiting
	Canceling Kind = "canceling" // somebody wants the build to end
	Approve   Kind = "approve"   // somebody says that a held build may start
	StepMoved Kind = "step"      // a step of the current attempt began or ended
	Notice    Kind = "notice"    // something beside the build went wrong; allowed after its end
)

// A Move is one entry of a build's event log. Seq, From and To are filled in by
// Do; the others are what the mover says.
type Move struct {
	Seq     int // from 1, without gaps
	At      time.Time
	Kind    Kind
	Task    string // key; "" for moves of the whole build
	Attempt int    // the attempt that speaks; 0 for moves of the architect alone
	Builder string
	From    State
	To      State
	Reason  string
	Step    *Step     // with StepMoved: the whole step as it now stands
	Index   int       // with StepMoved: which step
	Log     *Log      // with Succeed, Fail, Cancel and Retry
	Ready   time.Time // with Retry: before it the task is not given to a builder
	Request *Request

	Approval  *Approval // with Approve
	Findings  []Finding // with Succeed, Fail and Retry
	Tests     Tests     // with Succeed and Fail, as is
	Artifacts []Artifact
}

// New makes a build from its first move. The first stage starts with Open.
func New(req Request, at time.Time) (*Build, []Move) {
	m := Move{Seq: 1, At: at, Kind: Submit, Request: &req}
	b := &Build{}
	b.submit(m)
	return b, []Move{m}
}

// Do carries out what a mover asks for, with all that follows from it, and
// returns the moves to be recorded: none if the request came late, twice or from
// an attempt that is no longer the current one. An impossible request is an
// error, a *MoveError where a task's state forbids it, and changes nothing.
func (b *Build) Do(ask Move) ([]Move, error) {
	if b.stale(ask) {
		return nil, nil
	}
	m, changes, err := b.complete(ask)
	if err != nil || !changes {
		return nil, err
	}
	if _, err := b.Apply(m); err != nil {
		return nil, err
	}
	if b.Started.IsZero() {
		return []Move{m}, nil // held: only Open starts it
	}
	return append([]Move{m}, b.follow(m.At)...), nil
}

// stale reports whether ask may no longer change anything.
func (b *Build) stale(ask Move) bool {
	if ask.Kind == Notice {
		return false
	}
	if b.State().Final() {
		return true
	}
	t, ok := b.Task(ask.Task)
	if !ok {
		return false
	}
	over := ask.Attempt != t.Attempt || t.State == Ready // a Ready task's attempt is over
	return t.State.Final() || ask.Attempt != 0 && over
}

// complete makes the move to be recorded: what the mover said, as far as it
// belongs to such a move, and what the mover need not know. changes is false if
// the move would leave everything as it is.
func (b *Build) complete(ask Move) (m Move, changes bool, err error) {
	m = Move{Seq: b.Seq + 1, At: ask.At, Kind: ask.Kind, Builder: ask.Builder, Reason: ask.Reason}
	switch ask.Kind {
	case Refuse, Notice:
		return m, true, nil
	case Canceling:
		if m.Reason == "" {
			m.Reason = "canceled"
		}
		return m, b.Canceled == "", nil
	case Approve:
		if err := b.approvable(ask.Approval); err != nil {
			return m, false, err
		}
		approval := *ask.Approval
		approval.At = m.At
		m.Approval = &approval
		return m, b.Approval == nil, nil
	}
	t, ok := b.Task(ask.Task)
	if !ok {
		return m, false, fmt.Errorf("build %s has no task %q", b.ID, ask.Task)
	}
	m.Task, m.Attempt, m.Log = ask.Task, t.Attempt, ask.Log
	if ask.Kind == StepMoved {
		changes = completeStep(t, ask, &m)
		return m, changes, nil
	}
	b.turn(t, &m)
	m.From = t.State
	if m.To, err = Next(t.State, m.Kind); err != nil {
		return m, false, err
	}
	if m.Kind == Assign {
		m.Attempt++
	}
	switch m.Kind {
	case Succeed, Fail:
		m.Tests, m.Findings = t.flaky(ask.Tests, ask.Findings)
		m.Artifacts = Listed(ask.Artifacts)
	case Retry:
		m.Findings = Bounded(ask.Findings)
	}
	return m, m.From != m.To, nil
}

// completeStep fills in a StepMoved. What a step is called is the plan's to say.
// A step that ended does not move again, and none moves back to Waiting: messages
// overtake each other, and a builder tells all of an attempt's steps at once.
func completeStep(t *Task, ask Move, m *Move) (changes bool) {
	m.Log, m.Index, m.Step = nil, ask.Index, ask.Step
	if ask.Step == nil || ask.Index < 0 || ask.Index >= len(t.Steps) {
		return true // for Apply to refuse
	}
	now, step := t.Steps[ask.Index], *ask.Step
	step.Type, step.Name = now.Type, now.Name
	m.Step = &step
	return !now.State.Final() && step.State != Waiting && !reflect.DeepEqual(now, step)
}

// Open starts the first stage: BUILD_START is its first task leaving Waiting. What
// waits for approval stays as it is.
func (b *Build) Open(at time.Time) []Move { return b.follow(at) }

// follow makes the moves that the state by now demands: the next stage starts
// when the one before succeeded, and what waits for a builder in a canceled
// build will not get one.
func (b *Build) follow(at time.Time) []Move {
	var made []Move
	for {
		m, ok := b.due(at)
		if !ok {
			return made
		}
		if _, err := b.Apply(m); err != nil {
			return made // unreachable: due asks only for what Next allows
		}
		made = append(made, m)
	}
}

func (b *Build) due(at time.Time) (Move, bool) {
	if b.State().Final() || b.AwaitsApproval() {
		return Move{}, false
	}
	for i := range b.Stages {
		s := &b.Stages[i]
		for j := range s.Tasks {
			t := &s.Tasks[j]
			m := Move{Seq: b.Seq + 1, At: at, Task: t.Key, Attempt: t.Attempt, From: t.State}
			switch {
			case t.State == Ready && b.Canceled != "":
				m.Kind, m.To, m.Reason = Cancel, Failed, b.Canceled
				return m, true
			case t.State == Waiting && b.Canceled == "":
				m.Kind, m.To, m.Reason = t.first()
				return m, true
			}
		}
		if s.State() != Succeeded {
			return Move{}, false
		}
	}
	return Move{}, false
}
