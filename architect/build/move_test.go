package build

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

var start = time.Date(2026, 11, 22, 16, 5, 0, 0, time.UTC)

// request outlines stages by the number of their tasks. Every task has a setup
// and one more step.
func request(stages ...int) Request {
	req := Request{ID: ID{"k3f9a2", 7}, Kind: plan.OfPipeline, Name: "default", Plan: approved.Digest, Trigger: plan.Trigger{Commit: approved.Commit}}
	for i, n := range stages {
		s := StagePlan{Name: "stage"}
		for j := range n {
			s.Tasks = append(s.Tasks, TaskPlan{
				Key: plan.Key(i, j), Name: "task " + plan.Key(i, j),
				Steps: []StepPlan{{Type: plan.StepSetup, Name: "setup"}, {Type: plan.StepRun, Name: "true"}},
			})
		}
		req.Stages = append(req.Stages, s)
	}
	return req
}

// must asks for moves that have to be possible, one after the other.
func must(t *testing.T, b *Build, asks ...Move) {
	t.Helper()
	for _, ask := range asks {
		ask.At = start
		if moves, err := b.Do(ask); err != nil || len(moves) == 0 {
			t.Fatalf("Do(%s %s) = %v, %v; want moves", ask.Kind, ask.Task, moves, err)
		}
	}
}

func TestRefusedBuildFails(t *testing.T) {
	b, _ := New(request(), start)
	if got := b.State(); got != Building {
		t.Errorf("State() of a build that is not planned = %s; want %s", got, Building)
	}
	must(t, b, Move{Kind: Refuse, Reason: "unit.yml:3:1: unknown step type"})
	if b.State() != Failed || b.Reason() != "unit.yml:3:1: unknown step type" || b.Finished.IsZero() {
		t.Errorf("refused: %s, %q, finished %s; want failed with the refusal", b.State(), b.Reason(), b.Finished)
	}
}

func TestRefuseNeedsAReasonAndAQuietBuild(t *testing.T) {
	b, _ := New(request(1), start)
	if moves, err := b.Do(Move{Kind: Refuse}); err == nil {
		t.Errorf("Do(refuse) without a reason = %v; want an error", moves)
	}
	b.Open(start)
	if moves, err := b.Do(Move{Kind: Refuse, Reason: "x"}); err == nil {
		t.Errorf("Do(refuse) of a started build = %v; want an error", moves)
	}
}

func TestHeldBuildStaysHeld(t *testing.T) {
	b, _ := New(request(2), start)
	must(t, b, Move{Kind: Notice, Reason: "webhook: 500"})
	if !b.Started.IsZero() || b.Stages[0].State() != Waiting {
		t.Errorf("a notice opened the build: stage %s, started %s", b.Stages[0].State(), b.Started)
	}
	must(t, b, Move{Kind: Canceling})
	if b.State() != Failed || b.Reason() != "canceled" || !b.Started.IsZero() {
		t.Errorf("held and canceled: %s, %q; want failed, canceled, never started", b.State(), b.Reason())
	}
	if got := b.TaskReason(&b.Stages[0].Tasks[0]); got != "never ran" {
		t.Errorf("TaskReason = %q; want never ran", got)
	}
}

func TestInterruptedAttemptIsOver(t *testing.T) {
	b, _ := New(request(1), start)
	b.Open(start)
	must(t, b, Move{Kind: Assign, Task: "s0t0", Builder: "b1"}, Move{Kind: Begin, Task: "s0t0", Attempt: 1},
		Move{Kind: StepMoved, Task: "s0t0", Attempt: 1, Step: &Step{State: Building}},
		Move{Kind: Interrupt, Task: "s0t0", Attempt: 1, Reason: "drained"})
	before := b.Clone()
	for _, late := range []Move{
		{Kind: Interrupt}, {Kind: Begin}, {Kind: Succeed}, {Kind: Fail},
		{Kind: StepMoved, Step: &Step{State: Succeeded}},
	} {
		late.Task, late.Attempt = "s0t0", 1
		if moves, err := b.Do(late); err != nil || len(moves) != 0 {
			t.Errorf("Do(%s) by the interrupted attempt = %v, %v; want nothing", late.Kind, moves, err)
		}
	}
	if diff := cmp.Diff(before, b); diff != "" {
		t.Errorf("the interrupted attempt changed the task (-before +after):\n%s", diff)
	}
	if got := b.Stages[0].Tasks[0]; got.Steps[0].State != Waiting || !got.Started.IsZero() || len(got.Lost) != 1 {
		t.Errorf("an interrupted task keeps what its attempt did: %+v", got)
	}
}

func TestImpossibleAsks(t *testing.T) {
	ready, _ := New(request(1, 1), start)
	ready.Open(start)
	building := ready.Clone()
	must(t, building, Move{Kind: Assign, Task: "s0t0"}, Move{Kind: Begin, Task: "s0t0"})
	for _, c := range []struct {
		name string
		b    *Build
		ask  Move
	}{
		{"unknown task", ready, Move{Kind: Begin, Task: "s9t9"}},
		{"unknown kind", ready, Move{Kind: "explode", Task: "s0t0"}},
		{"second assignment", building, Move{Kind: Assign, Task: "s0t0"}},
		{"start out of turn", ready, Move{Kind: Start, Task: "s1t0"}},
		{"no step", building, Move{Kind: StepMoved, Task: "s0t0", Attempt: 1}},
		{"step below", building, Move{Kind: StepMoved, Task: "s0t0", Attempt: 1, Index: -1, Step: &Step{State: Building}}},
		{"step above", building, Move{Kind: StepMoved, Task: "s0t0", Attempt: 1, Index: 2, Step: &Step{State: Building}}},
		{"step that is ready", building, Move{Kind: StepMoved, Task: "s0t0", Attempt: 1, Step: &Step{State: Ready}}},
		{"step of a ready task", ready, Move{Kind: StepMoved, Task: "s0t0", Step: &Step{State: Building}}},
	} {
		before := c.b.Clone()
		if moves, err := c.b.Do(c.ask); err == nil {
			t.Errorf("%s: Do = %v; want an error", c.name, moves)
		}
		if diff := cmp.Diff(before, c.b); diff != "" {
			t.Errorf("%s: changed the build (-before +after):\n%s", c.name, diff)
		}
	}
	var impossible *MoveError
	if _, err := ready.Do(Move{Kind: Begin, Task: "s0t0"}); !errors.As(err, &impossible) || impossible.From != Ready {
		t.Errorf("Do(begin) of a ready task: %v; want a *MoveError from ready", err)
	}
}

// A stored event log is outside data: what Do would not have made, Apply refuses.
func TestReplayRefusesForgedLogs(t *testing.T) {
	b, moves := New(request(1, 1), start)
	moves = append(moves, b.Open(start)...)
	for _, ask := range []Move{{Kind: Assign, Task: "s0t0"}, {Kind: Fail, Task: "s0t0", Reason: "exit 2"}} {
		made, err := b.Do(ask)
		if err != nil {
			t.Fatal(err)
		}
		moves = append(moves, made...)
	}
	n := len(moves) + 1
	task := func(seq, attempt int, on Kind, from, to State) Move {
		return Move{Seq: seq, Kind: on, Task: "s0t0", Attempt: attempt, From: from, To: to}
	}
	for name, log := range map[string][]Move{
		"empty":              {},
		"no beginning":       {{Seq: 1, Kind: Notice}},
		"two beginnings":     append(moves[:1:1], moves[0]),
		"beginning is empty": {{Seq: 1, Kind: Submit}},
		"gap":                append(moves[:1:1], moves[2]),
		"repeat":             append(moves[:2:2], moves[1]),
		"verdict twice":      append(moves[:n-1:n-1], task(n, 1, Fail, Failed, Failed)),
		"verdict changed":    append(moves[:n-1:n-1], task(n, 1, Succeed, Failed, Succeeded)),
		"canceled when over": append(moves[:n-1:n-1], Move{Seq: n, Kind: Canceling, Reason: "x"}),
		"refused when over":  append(moves[:n-1:n-1], Move{Seq: n, Kind: Refuse, Reason: "x"}),
		"wrong attempt":      append(moves[:3:3], task(4, 2, Fail, Scheduled, Failed)),
		"attempt skipped":    append(moves[:2:2], task(3, 2, Assign, Ready, Scheduled)),
		"wrong from":         append(moves[:2:2], task(3, 1, Assign, Building, Scheduled)),
		"wrong to":           append(moves[:2:2], task(3, 1, Assign, Ready, Building)),
		"out of turn":        append(moves[:2:2], Move{Seq: 3, Kind: Start, Task: "s1t0", From: Waiting, To: Ready}),
	} {
		if b, err := Replay(log); err == nil {
			t.Errorf("%s: Replay = %s with %d moves; want an error", name, b.State(), b.Seq)
		}
	}
	if got, err := Replay(moves); err != nil || got.State() != Failed {
		t.Errorf("Replay of the whole log: %v; want a failed build", err)
	}
}

func TestStageWithoutTasksIsDone(t *testing.T) {
	b, _ := New(request(0, 1, 0), start)
	b.Open(start)
	must(t, b, Move{Kind: Assign, Task: "s1t0"}, Move{Kind: Succeed, Task: "s1t0"})
	if b.State() != Succeeded {
		t.Errorf("State() = %s; want %s", b.State(), Succeeded)
	}
}

func TestStepMessagesOvertakeEachOther(t *testing.T) {
	b, _ := New(request(1), start)
	b.Open(start)
	step := func(index int, s Step) Move {
		return Move{Kind: StepMoved, Task: "s0t0", Attempt: 1, Index: index, Step: &s}
	}
	must(t, b, Move{Kind: Assign, Task: "s0t0"},
		step(0, Step{State: Building}), // before the message that the task began
		step(0, Step{State: Succeeded, To: 10}), step(1, Step{Name: "forged", State: Building}))
	before := b.Clone()
	for _, late := range []Move{step(0, Step{State: Building}), step(0, Step{State: Succeeded, To: 10}), step(1, Step{State: Building}), step(1, Step{State: Waiting})} {
		if moves, err := b.Do(late); err != nil || len(moves) != 0 {
			t.Errorf("Do(late step %d) = %v, %v; want nothing", late.Index, moves, err)
		}
	}
	if diff := cmp.Diff(before, b); diff != "" {
		t.Errorf("a late message changed a step (-before +after):\n%s", diff)
	}
	if got := b.Stages[0].Tasks[0].Steps[1].Name; got != "true" {
		t.Errorf("a builder renamed its step to %q", got)
	}
}
