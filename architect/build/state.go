// Package build holds what happened: a build's state, the moves that changed it,
// and the result they add up to. It is the only judge of which move is legal.
//
// Nothing here reads a clock, a file or the network, so any build can be
// recomputed from its stored moves, on any machine, with the same outcome.
package build

import "fmt"

// A State is where a task, a step, a stage or a build stands. Tasks use all of
// them; stages and builds, whose state is derived from their tasks, and steps
// never are Ready or Scheduled.
type State string

// The only states there are. Detail goes into the reason beside the state.
const (
	Waiting   State = "waiting"   // for a previous stage, or never ran
	Ready     State = "ready"     // for a builder
	Scheduled State = "scheduled" // sent to a builder
	Building  State = "building"
	Succeeded State = "succeeded"
	Failed    State = "failed"
)

// States lists every state in the order of a task's life.
var States = []State{Waiting, Ready, Scheduled, Building, Succeeded, Failed}

// Final reports whether s never changes again.
func (s State) Final() bool { return s == Succeeded || s == Failed }

// A Kind says what happened to a task.
type Kind string

// What can happen to a task. A task that waits for its stage is not canceled:
// when its build ends it stays waiting, and is said never to have run.
const (
	Start     Kind = "start"     // its stage's turn has come
	Assign    Kind = "assign"    // sent to a builder, as the next attempt
	Begin     Kind = "begin"     // the builder has taken it
	Succeed   Kind = "succeed"   // the builder says so
	Fail      Kind = "fail"      // the builder says so, or its time is up
	Interrupt Kind = "interrupt" // the attempt ended without a verdict: lost, drained, refused
	Cancel    Kind = "cancel"    // ended by a person or by a newer push
	Retry     Kind = "retry"     // the attempt failed, and the task may be tried again
	Skip      Kind = "skip"      // its turn has come, and the plan says that it is not needed
	Reuse     Kind = "reuse"     // its turn has come, and an earlier success stands in for it
)

// Kinds lists everything that can happen to a task.
var Kinds = []Kind{Start, Assign, Begin, Succeed, Fail, Interrupt, Cancel, Retry, Skip, Reuse}

type move struct {
	from State
	on   Kind
}

// moves is the whole rule. What is not in it is impossible, except that a final
// state swallows everything.
var moves = map[move]State{
	{Waiting, Start}: Ready,
	{Waiting, Skip}:  Succeeded,
	{Waiting, Reuse}: Succeeded,

	{Ready, Assign}: Scheduled,
	{Ready, Fail}:   Failed, // no builder in time, or interrupted too often
	{Ready, Cancel}: Failed,

	{Scheduled, Begin}:     Building,
	{Scheduled, Succeed}:   Succeeded, // the message that it began was lost
	{Scheduled, Fail}:      Failed,
	{Scheduled, Interrupt}: Ready, // refused, or no answer
	{Scheduled, Cancel}:    Failed,
	{Scheduled, Retry}:     Ready, // failed; the message that it began was lost

	{Building, Begin}:     Building, // said twice
	{Building, Succeed}:   Succeeded,
	{Building, Fail}:      Failed,
	{Building, Interrupt}: Ready,
	{Building, Cancel}:    Failed,
	{Building, Retry}:     Ready,
}

// A MoveError is an impossible move: nothing that may be late or repeated, but a
// mistake of the one who asked for it.
type MoveError struct {
	From State
	On   Kind
	To   State // where the one who asked meant to go, if known
}

func (e *MoveError) Error() string {
	if e.To != "" {
		return fmt.Sprintf("a task that is %s cannot %s to become %s", e.From, e.On, e.To)
	}
	return fmt.Sprintf("a task that is %s cannot %s", e.From, e.On)
}

// Next is the state after something happened to a task. It is total: every state
// answers every kind with a state or a *MoveError that names both.
func Next(from State, on Kind) (State, error) {
	if from.Final() {
		return from, nil // late and repeated events are harmless
	}
	if to, ok := moves[move{from, on}]; ok {
		return to, nil
	}
	return from, &MoveError{From: from, On: on}
}
