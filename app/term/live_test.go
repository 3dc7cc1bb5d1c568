package term

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A screenWriter is as much of a terminal as a live display needs: lines, and a
// cursor that moves up and clears what is below.
type screenWriter struct {
	mu     sync.Mutex
	lines  []string
	cursor bool // hidden
	writes int
}

func (w *screenWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes++
	text := string(p)
	w.cursor = w.cursor && !strings.Contains(text, showCursor) || strings.Contains(text, hideCursor)
	text = strings.NewReplacer(hideCursor, "", showCursor, "").Replace(text)
	if rest, ok := strings.CutPrefix(text, "\x1b["); ok {
		if up, rest, ok := strings.Cut(rest, "A\r\x1b[J"); ok && len(up) < 3 {
			n := 0
			for _, c := range up {
				n = 10*n + int(c-'0')
			}
			w.lines, text = w.lines[:len(w.lines)-n], rest
		}
	}
	w.lines = append(w.lines, strings.Split(strings.TrimSuffix(text, "\n"), "\n")...)
	if text == "" {
		w.lines = w.lines[:len(w.lines)-1]
	}
	return len(p), nil
}

func (w *screenWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.lines, "\n") + "\n"
}

// tick has the display redraw, and returns when it has.
func tick(ticks chan time.Time) {
	ticks <- time.Time{}
	ticks <- time.Time{} // taken only after the first was dealt with; itself it changes nothing
}

func TestLiveStoryOfABuild(t *testing.T) {
	s := newStory(t, recorded,
		build.StagePlan{Name: "test", Tasks: []build.TaskPlan{task("s0t0", "unit", "go test"), task("s0t1", "lint", "lint")}},
		build.StagePlan{Name: "deploy", Tasks: []build.TaskPlan{task("s1t0", "deploy", "deploy")}},
	)
	w, ticks := &screenWriter{}, make(chan time.Time)
	at := noon.Add(5 * time.Second) // the display's own clock
	p := New(Options{Out: w, Now: func() time.Time { return at }, NoColour: true, Ticks: ticks,
		Size: func() (int, int) { return 60, 20 }})

	p.Update(s.do(begin("s0t0")...))
	p.Update(s.do(stepMove("s0t0", 1, build.Building, s.at)))
	p.Log(Source{Build: recorded, Key: "s0t0", Name: "unit", Attempt: 1}, []byte("ok one\nok two\nhalf"))
	if got := w.String(); got != "\n" {
		t.Errorf("drawn before a tick:\n%s", got)
	}
	tick(ticks)
	want := `unit | ok one
unit | ok two
⠋ k3f9a2-12 default  0/3  5.0s
  ⠋ test  0/2
    ⠋ unit  3.0s  go test
    · lint
  · deploy  1 task
`
	if diff := cmp.Diff(want, w.String()); diff != "" {
		t.Errorf("while it runs (-want +got):\n%s", diff)
	}
	s.do(build.Move{Kind: build.Fail, Task: "s0t0", Attempt: 1, Reason: "exit 2"})
	p.End(s.do(append(begin("s0t1"), build.Move{Kind: build.Succeed, Task: "s0t1"})...))
	p.Close()
	want = `unit | ok one
unit | ok two
unit | half
  ✗ test  1/2
    ✗ unit  2.0s  exit 2
    ✓ lint  1.0s
  · deploy  never ran
unit: failed, exit 2 in 2.0s
    ok one
    ok two
    half
    velocity logs k3f9a2-12 unit
k3f9a2-12 default: failed 1/3 in 7.0s: unit: exit 2
`
	if diff := cmp.Diff(want, w.String()); diff != "" {
		t.Errorf("at the end (-want +got):\n%s", diff)
	}
	if w.cursor {
		t.Error("the cursor stays hidden")
	}
}

func TestLiveWritesAtTicksOnly(t *testing.T) {
	w, ticks := &screenWriter{}, make(chan time.Time)
	p := New(Options{Out: w, Now: func() time.Time { return noon }, Ticks: ticks, Size: func() (int, int) { return 60, 20 }})
	defer p.Close()
	s := newStory(t, recorded, build.StagePlan{Name: "s", Tasks: []build.TaskPlan{task("s0t0", "a", "x")}})
	for range 1000 {
		p.Update(s.b.Clone())
		p.Log(Source{Build: recorded, Key: "s0t0"}, []byte("line\n"))
	}
	if w.writes != 0 {
		t.Errorf("%d writes without a tick", w.writes)
	}
	p.Log(Source{Build: recorded, Key: "s0t0"}, bytes.Repeat([]byte("line\n"), pendingLimit))
	if w.writes != 1 {
		t.Errorf("%d writes for a flood; want 1, or it would be held in memory", w.writes)
	}
}

func TestLiveFitsTheTerminal(t *testing.T) {
	var tasks []build.TaskPlan
	for i := range 30 {
		tasks = append(tasks, task(plan.Key(0, i), strings.Repeat("long name ", 20), "x"))
	}
	s := newStory(t, build.ID{}, build.StagePlan{Name: "s", Tasks: tasks})
	w, ticks := &screenWriter{}, make(chan time.Time)
	p := New(Options{Out: w, Now: func() time.Time { return noon }, NoColour: true, Ticks: ticks, Size: func() (int, int) { return 40, 10 }})
	p.Update(s.do(begin("s0t15")...))
	tick(ticks)
	lines := strings.Split(strings.TrimSuffix(w.String(), "\n"), "\n")
	if len(lines) != 9 {
		t.Errorf("%d lines on a terminal of 10; want 9:\n%s", len(lines), w)
	}
	for _, l := range lines {
		if columns(l) > 39 {
			t.Errorf("a line of %d columns on a terminal of 40: %q", columns(l), l)
		}
	}
	if !strings.Contains(w.String(), spinner[0]+" long") {
		t.Errorf("the only task that is building was left out:\n%s", w)
	}
	if !strings.Contains(lines[0], "default") {
		t.Errorf("the build's own line was left out:\n%s", w)
	}
	if last := lines[len(lines)-1]; last != "… and 23 more" {
		t.Errorf("last line %q; want the number left out", last)
	}
	p.Close()
}
