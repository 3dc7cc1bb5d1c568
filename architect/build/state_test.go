package build

import (
	"errors"
	"testing"
)

// square says what every state answers to everything that can happen, written
// out by hand: "" is impossible. The model test uses it too.
var square = map[State]map[Kind]State{
	Waiting: {
		Start: Ready, Assign: "", Begin: "", Succeed: "", Fail: "", Interrupt: "", Cancel: "",
		Retry: "", Skip: Succeeded, Reuse: Succeeded,
	},
	Ready: {
		Start: "", Assign: Scheduled, Begin: "", Succeed: "", Fail: Failed, Interrupt: "", Cancel: Failed,
		Retry: "", Skip: "", Reuse: "",
	},
	Scheduled: {
		Start: "", Assign: "", Begin: Building, Succeed: Succeeded, Fail: Failed, Interrupt: Ready, Cancel: Failed,
		Retry: Ready, Skip: "", Reuse: "",
	},
	Building: {
		Start: "", Assign: "", Begin: Building, Succeed: Succeeded, Fail: Failed, Interrupt: Ready, Cancel: Failed,
		Retry: Ready, Skip: "", Reuse: "",
	},
	Succeeded: {
		Start: Succeeded, Assign: Succeeded, Begin: Succeeded, Succeed: Succeeded, Fail: Succeeded,
		Interrupt: Succeeded, Cancel: Succeeded, Retry: Succeeded, Skip: Succeeded, Reuse: Succeeded,
	},
	Failed: {
		Start: Failed, Assign: Failed, Begin: Failed, Succeed: Failed, Fail: Failed,
		Interrupt: Failed, Cancel: Failed, Retry: Failed, Skip: Failed, Reuse: Failed,
	},
}

func TestNextWholeSquare(t *testing.T) {
	if len(square) != len(States) {
		t.Fatalf("the table has %d states, the code %d", len(square), len(States))
	}
	for _, from := range States {
		if len(square[from]) != len(Kinds) {
			t.Errorf("the table has %d kinds for %s, the code %d", len(square[from]), from, len(Kinds))
		}
		for _, on := range Kinds {
			want, known := square[from][on]
			got, err := Next(from, on)
			var impossible *MoveError
			switch {
			case !known:
				t.Errorf("the table lacks %s on %s", from, on)
			case want == "":
				if !errors.As(err, &impossible) || impossible.From != from || impossible.On != on || got != from {
					t.Errorf("Next(%s, %s) = %s, %v; want %s and a *MoveError naming both", from, on, got, err, from)
				}
			case got != want || err != nil:
				t.Errorf("Next(%s, %s) = %s, %v; want %s", from, on, got, err, want)
			}
		}
	}
	if got, err := Next(Ready, "explode"); err == nil {
		t.Errorf("Next(ready, explode) = %s; want an error", got)
	}
}

func TestParseID(t *testing.T) {
	for in, want := range map[string]ID{
		"k3f9a2-1":          {"k3f9a2", 1},
		"k3f9a2-0000001234": {"k3f9a2", 1234},
		"000000-7":          {"000000", 7},
	} {
		got, err := ParseID(in)
		if err != nil || got != want {
			t.Errorf("ParseID(%q) = %v, %v; want %v", in, got, err, want)
		}
		if again, err := ParseID(got.String()); err != nil || again != got {
			t.Errorf("ParseID(%q) = %v, %v; want %v", got, again, err, got)
		}
	}
	for _, in := range []string{
		"", "k3f9a2", "k3f9a2-", "k3f9a2-0", "k3f9a2--1", "k3f9a2-+1", "K3F9A2-1", "k3f9a-1", "k3f9a2-1x",
		"k3f9a2-9223372036854775808", "../../-1", "k3f9a2-1_000",
	} {
		if got, err := ParseID(in); err == nil {
			t.Errorf("ParseID(%q) = %v; want an error", in, got)
		}
	}
}
