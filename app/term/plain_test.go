package term

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/velocity-ci/velocity/architect/build"
)

func TestPlainStoryOfABuild(t *testing.T) {
	s := newStory(t, recorded,
		build.StagePlan{Name: "test", Tasks: []build.TaskPlan{task("s0t0", "unit", "vet", "test"), task("s0t1", "lint", "lint")}},
		build.StagePlan{Name: "deploy", Tasks: []build.TaskPlan{task("s1t0", "deploy", "deploy")}},
	)
	var out bytes.Buffer
	p := New(Options{Out: &out, Now: s.now})
	unit := Source{Build: recorded, Key: "s0t0", Name: "unit", Attempt: 1}

	p.Update(s.do())
	p.Update(s.do(begin("s0t0")...))
	p.Update(s.do(begin("s0t1")...))
	p.Update(s.do(build.Move{Kind: build.Interrupt, Task: "s0t1", Attempt: 1, Reason: "lost builder"}))
	p.Update(s.do(stepMove("s0t0", 1, build.Building, s.at)))
	p.Log(unit, []byte("one\ntw"))
	p.Log(unit, []byte("o\r\n\x1b[2Jthree, without an end"))
	p.Update(s.do(begin("s0t1")...))
	p.Update(s.do(build.Move{Kind: build.Succeed, Task: "s0t1"}))
	p.End(s.do(build.Move{Kind: build.Fail, Task: "s0t0", Attempt: 1, Reason: "exit 2"}))
	p.Close()

	want := `k3f9a2-12 default: push refs/heads/main 2fd4e1c, 3 tasks in 2 stages
unit: building
lint: building
lint: attempt 1 ended: lost builder
unit: step 1/2 vet
unit | one
unit | two
lint: building, attempt 2
lint: succeeded in 1.0s
unit | three, without an end
unit: failed, exit 2 in 8.0s
unit: failed, exit 2 in 8.0s
    one
    two
    three, without an end
    velocity logs k3f9a2-12 unit
k3f9a2-12 default: failed 1/3 in 10.0s: unit: exit 2
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("output differs (-want +got):\n%s", diff)
	}
}

func TestPlainTellsSeveralBuildsApart(t *testing.T) {
	var out bytes.Buffer
	p := New(Options{Out: &out})
	other := build.ID{Store: "k3f9a2", Number: 13}
	stage := build.StagePlan{Name: "s", Tasks: []build.TaskPlan{task("s0t0", "a", "x")}}
	one, two := newStory(t, recorded, stage), newStory(t, other, stage)
	p.Update(one.do())
	p.Update(two.do())
	p.Update(two.do(begin("s0t0")...))
	p.Log(Source{Build: other, Key: "s0t0", Name: "a", Attempt: 1}, []byte("hello\n"))
	for _, want := range []string{"k3f9a2-13 a: building\n", "k3f9a2-13 a | hello\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output lacks %q:\n%s", want, out.String())
		}
	}
}

// What a task prints may come before the move that began it, which is shown once it
// is recorded.
func TestPlainLogAheadOfItsMove(t *testing.T) {
	var out bytes.Buffer
	p := New(Options{Out: &out})
	s := newStory(t, recorded, build.StagePlan{Name: "s", Tasks: []build.TaskPlan{task("s0t0", "a", "x")}})
	from := Source{Build: recorded, Key: "s0t0", Name: "a", Attempt: 1}
	p.Update(s.do())
	p.Log(from, []byte("hello\n"))
	p.Update(s.do(begin("s0t0")...))
	p.Log(from, []byte("again\n"))
	p.Update(s.do(build.Move{Kind: build.Succeed, Task: "s0t0", Attempt: 1}))
	p.Log(from, []byte("late\n"))
	want := "k3f9a2-12 default: push refs/heads/main 2fd4e1c, 1 task in 1 stage\na: building\nhello\nagain\na: succeeded in 1.0s\nlate\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("output differs (-want +got):\n%s", diff)
	}
}

func TestPlainUnrecordedBuildAlone(t *testing.T) {
	var out bytes.Buffer
	s := newStory(t, build.ID{}, build.StagePlan{Name: "s", Tasks: []build.TaskPlan{task("s0t0", "a", "x")}})
	p := New(Options{Out: &out})
	p.Update(s.do(begin("s0t0")...))
	p.Log(Source{Key: "s0t0", Name: "a", Attempt: 1}, []byte("raw\n"))
	p.End(s.do(build.Move{Kind: build.Succeed, Task: "s0t0", Attempt: 1}))
	want := "default: push refs/heads/main 2fd4e1c, 1 task in 1 stage\na: building\nraw\na: succeeded in 1.0s\ndefault: succeeded 1/1 in 3.0s\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("output differs (-want +got):\n%s", diff)
	}
}

// However a log is cut, the same lines come out.
func TestLogInAnyChunks(t *testing.T) {
	piece := rapid.SampledFrom([]string{"a", "bc", "\n", "\r\n", "\x1b[31m", "\x1b]0;t\a", "é", "\u009b", "\r", "\x00"})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(piece, 0, 40).Draw(t, "pieces"), "")
		var want bytes.Buffer
		for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
			if text != "" {
				want.Write(append(appendClean(nil, []byte(line), true), '\n'))
			}
		}
		var out bytes.Buffer
		p := New(Options{Out: &out})
		for rest := []byte(text); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "chunk")
			p.Log(Source{Key: "s0t0"}, rest[:n])
			rest = rest[n:]
		}
		p.Close()
		if diff := cmp.Diff(want.String(), out.String()); diff != "" {
			t.Fatalf("%q differs (-want +got):\n%s", text, diff)
		}
	})
}

func TestLogBreaksEndlessLines(t *testing.T) {
	var out bytes.Buffer
	p := New(Options{Out: &out})
	for range 100 {
		p.Log(Source{}, bytes.Repeat([]byte("x"), 1000))
	}
	if n := out.Len(); n < maxLine {
		t.Errorf("after 100 kB without a newline %d bytes are out; want at least %d", n, maxLine)
	}
	if n := cap(p.streams[Source{}].tail); n > 8*tailBytes {
		t.Errorf("the tail holds %d bytes", n)
	}
}

func TestSummaryShowsTheLastLines(t *testing.T) {
	var out bytes.Buffer
	s := newStory(t, recorded, build.StagePlan{Name: "s", Tasks: []build.TaskPlan{task("s0t0", "a b", "x"), task("s0t1", "c", "x")}})
	p := New(Options{Out: &out})
	p.Update(s.do(begin("s0t0")...))
	for i := range 5000 {
		p.Log(Source{Build: recorded, Key: "s0t0", Name: "a b", Attempt: 1}, fmt.Appendf(nil, "line %d\n", i))
	}
	s.do(build.Move{Kind: build.Fail, Task: "s0t0", Attempt: 1, Reason: "exit 1"})
	out.Reset()
	p.End(s.do(append(begin("s0t1"), build.Move{Kind: build.Succeed, Task: "s0t1"})...))
	got := out.String()
	if n := strings.Count(got, "    line "); n != tailLines || !strings.Contains(got, "    line 4999\n") {
		t.Errorf("%d lines of the log in the summary; want the last %d:\n%s", n, tailLines, got)
	}
	if !strings.Contains(got, "velocity logs k3f9a2-12 'a b'\n") {
		t.Errorf("no quoted command for the whole log:\n%s", got)
	}
}

type brokenPipe struct{ writes int }

func (w *brokenPipe) Write([]byte) (int, error) { w.writes++; return 0, errors.New("broken pipe") }

func TestProgressOutlivesItsReader(t *testing.T) {
	w := &brokenPipe{}
	p := New(Options{Out: w})
	for range 3 {
		p.Log(Source{}, []byte("x\n"))
	}
	p.Close()
	if w.writes != 1 {
		t.Errorf("%d writes to a broken pipe; want 1", w.writes)
	}
}

func BenchmarkLogPlain(b *testing.B) {
	chunk := bytes.Repeat([]byte(strings.Repeat("x", 79)+"\n"), 400)
	for _, c := range []struct {
		name  string
		chunk []byte
	}{{"whole lines", chunk}, {"cut lines", chunk[:len(chunk)-40]}, {"colours", bytes.ReplaceAll(chunk, []byte("xxxxxxxxx\n"), []byte("\x1b[31m\x1b[0m\n"))}} {
		b.Run(c.name, func(b *testing.B) {
			p := New(Options{Out: io.Discard})
			b.SetBytes(int64(len(c.chunk)))
			for b.Loop() {
				p.Log(Source{}, c.chunk)
			}
		})
	}
}
