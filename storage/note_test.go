package storage

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

func TestNote(t *testing.T) {
	id := build.ID{Store: "k3f9a2", Number: 1234}
	at := time.Date(2026, 11, 22, 16, 8, 9, 0, time.UTC)
	for line, want := range map[string]Note{
		`velocity/1 k3f9a2-0000001234 default: succeeded push refs/heads/main 10/10 3m12s 2026-11-22T16:08:09Z ""`: {
			ID: id, Name: "default", State: build.Succeeded, Event: plan.EventPush, Ref: "refs/heads/main",
			Counts: build.Counts{Done: 10, Tasks: 10}, Took: 192 * time.Second, Finished: at,
		},
		`velocity/1 k3f9a2-0000001234 "a: b \u202e\n": failed manual - 0/2 120ms 2026-11-22T16:08:09Z "unit: exit 2"`: {
			ID: id, Name: "a: b \u202e\n", State: build.Failed, Event: plan.EventManual,
			Counts: build.Counts{Tasks: 2}, Took: 120 * time.Millisecond, Finished: at, Reason: "unit: exit 2",
		},
	} {
		if got := want.String(); got != line {
			t.Errorf("String:\n got %s\nwant %s", got, line)
		}
		got, err := ParseNote(line)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("ParseNote(%q): %v (-want +got):\n%s", line, err, diff)
		}
	}
	good := `velocity/1 k3f9a2-0000001234 default: succeeded push refs/heads/main 10/10 3m12s 2026-11-22T16:08:09Z ""`
	for from, to := range map[string]string{
		"velocity/1": "velocity/2", "k3f9a2-": "k3f9a2", "default: ": "default ", "succeeded": "building", "10/10": "10",
		"3m12s": "3m12", "2026-11-22T": "2026-11-22 ", `""`: `"`, `Z ""`: "Z", "default": `"default`,
	} {
		if got, err := ParseNote(strings.Replace(good, from, to, 1)); err == nil {
			t.Errorf("a note with %q for %q was read as %v", to, from, got)
		}
	}
}

func TestNoteOfBuild(t *testing.T) {
	b, _ := sampleBuild(t)
	want := `velocity/1 k3f9a2-0000001234 default: failed manual refs/heads/main 1/3 12s 2026-11-22T16:05:12Z "superseded"`
	if got := NoteOf(b).String(); got != want {
		t.Errorf("noteOf:\n got %s\nwant %s", got, want)
	}
	b.Canceled = strings.Repeat("ü", 200)
	if got := NoteOf(b).Reason; len(got) > maxReason || !strings.HasSuffix(got, "ü…") {
		t.Errorf("a long reason becomes %q", got)
	}
}

// Whatever people call things, the line is one line and reads back.
func TestNoteReadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "-", "a b", "x: y", `"`, "\n", "ü/ß", "--all"}))
		valid := func(label string) string { return strings.ToValidUTF8(text.Draw(t, label), "?") }
		n := Note{
			ID:   build.ID{Store: "k3f9a2", Number: rapid.Int64Range(1, 1<<62).Draw(t, "number")},
			Name: valid("name"), State: build.Failed, Event: plan.Event(valid("event")), Ref: valid("ref"),
			Counts: build.Counts{Done: 1, Tasks: 2}, Took: time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "took")),
			Finished: time.Unix(rapid.Int64Range(0, 1e11).Draw(t, "finished"), 0).UTC(), Reason: valid("reason"),
		}
		line := n.String()
		got, err := ParseNote(line)
		if diff := cmp.Diff(n, got); err != nil || diff != "" || strings.ContainsAny(line, "\n\r") {
			t.Fatalf("ParseNote(%q): %v (-want +got):\n%s", line, err, diff)
		}
	})
}

func FuzzParseNote(f *testing.F) {
	f.Add(`velocity/1 k3f9a2-0000001234 default: succeeded push refs/heads/main 10/10 3m12s 2026-11-22T16:08:09Z ""`)
	f.Add(`velocity/1 k3f9a2-1 "a b": failed "x" "-" 0/0 0s 2026-11-22T16:08:09+01:00 "\u202e"`)
	f.Fuzz(func(t *testing.T, line string) {
		read := func(data []byte) (Note, error) { return ParseNote(string(data)) }
		print := func(n Note) ([]byte, error) { return []byte(n.String()), nil }
		reprint(t, []byte(line), read, print)
	})
}
