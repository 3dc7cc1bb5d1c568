package build

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// held is a build that waits for approval.
func held() *Build {
	req := request(2, 1)
	req.Held = true
	b, _ := New(req, start)
	return b
}

// approve asks for b's approval by ann, changed as the test wants.
func approve(b *Build, change func(*Approval)) ([]Move, error) {
	a := approved
	a.By = "ann"
	if change != nil {
		change(&a)
	}
	return b.Do(Move{Kind: Approve, Approval: &a, At: start.Add(time.Minute)})
}

func TestHeldBuildStaysAsItIs(t *testing.T) {
	b := held()
	if moves := b.Open(start); len(moves) != 0 {
		t.Errorf("Open() of a held build = %v; want no moves", moves)
	}
	task, _ := b.Task("s0t0")
	if b.State() != Building || b.Reason() != ReasonHeld || task.State != Waiting || b.TaskReason(task) != ReasonHeld || !b.Started.IsZero() {
		t.Errorf("a held build is %s, %q; its task %s, %q; started %s", b.State(), b.Reason(), task.State, b.TaskReason(task), b.Started)
	}
	for _, on := range []Kind{Start, Assign, Begin} {
		if moves, err := b.Do(Move{Kind: on, Task: "s0t0", At: start}); err == nil {
			t.Errorf("Do(%s) before the approval = %v; want an error", on, moves)
		}
	}
}

func TestApprovedBuildStarts(t *testing.T) {
	b := held()
	moves, err := approve(b, nil)
	want := &Approval{Commit: approved.Commit, Digest: approved.Digest, By: "ann", At: start.Add(time.Minute)}
	if err != nil || len(moves) != 1 || !cmp.Equal(b.Approval, want) || b.AwaitsApproval() {
		t.Fatalf("Do(approve) = %v, %v; approval %+v, want %+v", moves, err, b.Approval, want)
	}
	if moves := b.Open(start); len(moves) != 2 || b.Started.IsZero() || b.Reason() != "" {
		t.Errorf("Open() = %v; want both tasks of the first stage started", moves)
	}
	if moves, err := approve(b, func(a *Approval) { a.By = "bob" }); len(moves) != 0 || err != nil || b.Approval.By != "ann" {
		t.Errorf("approved twice: %v, %v, by %s; want nothing, by the first", moves, err, b.Approval.By)
	}
}

func TestApprovalOfSomethingElse(t *testing.T) {
	for name, change := range map[string]func(*Approval){
		"commit": func(a *Approval) { a.Commit = "1111" },
		"plan":   func(a *Approval) { a.Digest = "other" },
	} {
		b := held()
		moves, err := approve(b, change)
		var mismatch *MismatchError
		if !errors.As(err, &mismatch) || mismatch.Commit != approved.Commit || mismatch.Digest != approved.Digest || len(moves) != 0 || !b.AwaitsApproval() {
			t.Errorf("another %s approved: %v, %v; want a *MismatchError of what it is", name, moves, err)
		}
	}
	b := held()
	if moves, err := approve(b, func(a *Approval) { a.By = "" }); err == nil || !b.AwaitsApproval() {
		t.Errorf("approved by nobody: %v, %v; want an error", moves, err)
	}
	b.Plan = "" // nobody drew one
	if moves, err := approve(b, func(a *Approval) { a.Digest = "" }); err == nil || !b.AwaitsApproval() {
		t.Errorf("approved without a plan: %v, %v; want an error", moves, err)
	}
}

func TestApprovalOfWhatIsNotHeld(t *testing.T) {
	b, _ := New(request(1), start)
	if moves, err := approve(b, nil); !errors.Is(err, ErrNotHeld) {
		t.Errorf("Do(approve) = %v, %v; want ErrNotHeld", moves, err)
	}
	b = held()
	must(t, b, Move{Kind: Canceling, Reason: "superseded by k3f9a2-8"})
	if moves, err := approve(b, nil); len(moves) != 0 || err != nil || b.Approval != nil || b.State() != Failed || b.Reason() != "superseded by k3f9a2-8" {
		t.Errorf("approved after its end: %v, %v; it %s, %q", moves, err, b.State(), b.Reason())
	}
}

// What Do would not make, a replay does not take.
func TestReplayChecksApprovals(t *testing.T) {
	ask := Move{Seq: 2, At: start, Kind: Approve, Approval: &Approval{Commit: approved.Commit, Digest: approved.Digest, By: "ann"}}
	req := request(1)
	req.Held = true
	first := Move{Seq: 1, At: start, Kind: Submit, Request: &req}
	begun := Move{Seq: 2, At: start, Kind: Start, Task: "s0t0", From: Waiting, To: Ready}
	again, other, free := ask, ask, request(1)
	again.Seq, other.Approval = 3, &Approval{Commit: "x", Digest: approved.Digest, By: "ann"}
	for name, moves := range map[string][]Move{
		"started without": {first, begun},
		"twice":           {first, ask, again},
		"of another":      {first, other},
		"of nothing":      {first, {Seq: 2, At: start, Kind: Approve}},
		"not held":        {{Seq: 1, At: start, Kind: Submit, Request: &free}, ask},
	} {
		if b, err := Replay(moves); err == nil {
			t.Errorf("%s: Replay() = %+v; want an error", name, b)
		}
	}
	if b, err := Replay([]Move{first, ask}); err != nil || b.AwaitsApproval() {
		t.Errorf("Replay() of an approved build: %v", err)
	}
}
