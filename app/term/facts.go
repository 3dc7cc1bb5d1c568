package term

import (
	"fmt"

	"github.com/velocity-ci/velocity/architect/build"
)

// What a page shows of a task's findings and artifacts; --json has all.
const (
	shownFindings  = 20
	shownArtifacts = 20
)

// earlier lists the attempts before the current one, and how to read their logs.
func (w *page) earlier(t *build.Task) {
	for _, lost := range t.Lost {
		fmt.Fprintf(&w.out, "      attempt %d on %s ended %s: %s\n", lost.Attempt, Clean(lost.Builder), clock(lost.Ended), firstLine(lost.Reason))
	}
	for _, r := range t.Retried {
		fmt.Fprintf(&w.out, "      attempt %d on %s failed %s: %s\n", r.Attempt, Clean(r.Builder), clock(r.Ended), firstLine(r.Reason))
		if r.Log.Bytes > 0 {
			fmt.Fprintf(&w.out, "        log: %s, %s: %s --attempt %d\n", count(r.Log.Lines, "line"), Bytes(r.Log.Bytes), logCommand(w.b, t), r.Attempt)
		}
	}
}

// facts shows what a task left behind, failing tests first.
func (w *page) facts(t *build.Task) {
	if reused(t) {
		fmt.Fprintf(&w.out, "      built by %s, task %s: velocity show %s\n", t.Reused.Build, Clean(t.Reused.Task), t.Reused.Build)
	}
	if text := tests(t.Tests); text != "" {
		fmt.Fprintf(&w.out, "      tests: %s\n", text)
	}
	for _, f := range t.Findings[:min(len(t.Findings), shownFindings)] {
		w.finding(f)
	}
	if more := len(t.Findings) - shownFindings; more > 0 {
		fmt.Fprintf(&w.out, "      and %s more, which --json lists\n", count(more, "finding"))
	}
	for _, a := range t.Artifacts[:min(len(t.Artifacts), shownArtifacts)] {
		fmt.Fprintf(&w.out, "      artifact: %s, %s\n", firstLine(a.Name), Bytes(a.Size))
	}
	if more := len(t.Artifacts) - shownArtifacts; more > 0 {
		fmt.Fprintf(&w.out, "      and %s more, which --json lists\n", count(more, "artifact"))
	}
}

// finding prints one on a line: error: TestX at x_test.go:7:2: got 1.
func (w *page) finding(f build.Finding) {
	text := firstLine(f.Name)
	if f.File != "" {
		at := firstLine(f.File)
		if f.Line > 0 {
			at += fmt.Sprintf(":%d", f.Line)
		}
		if f.Line > 0 && f.Column > 0 {
			at += fmt.Sprintf(":%d", f.Column)
		}
		if text != "" {
			text += " at "
		}
		text += at
	}
	if f.Flaky {
		text += " (flaky)"
	}
	if f.Message != "" {
		text += ": " + firstLine(f.Message)
	}
	level := Clean(f.Level)
	if f.Level == build.LevelError {
		level = w.s.state(build.Failed, level)
	}
	fmt.Fprintf(&w.out, "      %s: %s\n", level, text)
}

// tests is 12 passed, 1 failed, 2 skipped, 1 flaky; "" if there were none.
func tests(t build.Tests) string {
	text := ""
	for _, c := range []struct {
		n    int
		what string
	}{{t.Failed, "failed"}, {t.Passed, "passed"}, {t.Skipped, "skipped"}, {t.Flaky, "flaky"}} {
		if c.n == 0 {
			continue
		}
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%d %s", c.n, c.what)
	}
	return text
}

// reused reports whether an earlier success stood in for the task.
func reused(t *build.Task) bool { return t.State == build.Succeeded && t.Reason == build.ReasonReused }
