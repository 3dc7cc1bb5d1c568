package builder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/executor"
	"github.com/velocity-ci/velocity/builder/source"
)

func TestAttemptRunsItsSteps(t *testing.T) {
	w := newBench(t)
	task := script(`echo "on $VELOCITY_GIT_BRANCH, build $VELOCITY_BUILD_NUMBER, x=$x"; echo oops >&2; touch made`,
		`test -f made; printf 'no newline'`)
	task.Parameters = []plan.Parameter{{Name: "x", Value: given("a b\nc")}}
	r := w.build(t, task)
	if r.Verdict != dispatch.Succeeded || r.Reason != "" {
		t.Fatalf("ended %s: %s", r.Verdict, r.Reason)
	}
	want := []build.State{build.Succeeded, build.Succeeded, build.Succeeded}
	if diff := cmp.Diff(want, states(r)); diff != "" {
		t.Errorf("states of the steps (-want +got):\n%s", diff)
	}
	text := w.ear.text()
	for _, line := range []string{"on main, build 7, x=a b\nc\n", "oops\n", "no newline"} {
		if !strings.Contains(text, line) {
			t.Errorf("log %q has no %q", text, line)
		}
	}
	second := r.Steps[2]
	if got := text[second.From:second.To]; got != "no newline" {
		t.Errorf("the second step's part of the log is %q", got)
	}
	w.checkLog(t, r)
	w.checkClean(t)
}

func TestProgressIsTold(t *testing.T) {
	w, started, release := held(t)
	w.take(t, script("true", "true"))
	<-started
	want := []build.State{build.Succeeded, build.Building, build.Waiting}
	w.ear.until(t, func() bool {
		n := len(w.ear.progress)
		return n > 0 && cmp.Equal(want, states(dispatch.Result{Steps: w.ear.progress[n-1].Steps}))
	})
	release()
	r := <-w.ear.ends
	if s := r.Steps[1]; s.Type != plan.StepRun || s.Name != "a step" || s.Started.IsZero() || s.Finished.Before(s.Started) {
		t.Errorf("the step's end is told as %+v", s)
	}
}

// A checkout from git of the depth that the configuration names, used by a step
// and gone afterwards, whatever the step did to it.
func TestAttemptInACheckout(t *testing.T) {
	w := newBench(t)
	repo := t.TempDir()
	made, err := exec.Command("sh", "-euc", `cd "$1"; git init -q .; echo hello > file; git add .
		git -c user.name=A -c user.email=a@example.com commit -qm first
		git -c user.name=A -c user.email=a@example.com commit -qm second --allow-empty; git rev-parse HEAD`, "sh", repo).Output()
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	w.Workspaces = &source.Fresh{Work: work}
	r := w.build(t, script(`cat file; git log --format=%s; mkdir -p a/b; touch a/b/c; chmod 0 a/b; chmod 0500 a .`),
		func(a *dispatch.Assignment) {
			a.Source, a.Commit, a.Task.Git.Depth = repo, plan.Commit(strings.TrimSpace(string(made))), 1
		})
	if r.Verdict != dispatch.Succeeded || w.ear.text() != "hello\nsecond\n" {
		t.Errorf("ended %s, %q, log %q", r.Verdict, r.Reason, w.ear.text())
	}
	if left, err := os.ReadDir(work); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// outcome is how a step ends, and what a task should make of it.
type outcome struct {
	name         string
	step         func(*plan.Step)
	result       executor.Result
	err          error
	state        build.State
	stops        bool
	verdict      dispatch.Verdict
	reasonPrefix string
}

var outcomes = []outcome{
	{name: "fine", state: build.Succeeded},
	{name: "exit", result: executor.Result{Exit: 3}, state: build.Failed, stops: true, verdict: dispatch.Failed, reasonPrefix: "exit 3"},
	{name: "exit that does not count", step: func(s *plan.Step) { s.Run.IgnoreExitCode = true },
		result: executor.Result{Exit: 3}, state: build.Succeeded},
	{name: "exit that may be", step: func(s *plan.Step) { s.IgnoreErrors = true },
		result: executor.Result{Exit: 3}, state: build.Failed},
	{name: "not started", err: &executor.StartError{What: "no such command", Hint: "install it"},
		state: build.Failed, stops: true, verdict: dispatch.Failed, reasonPrefix: "no such command (install it)"},
	{name: "not started, which may be", step: func(s *plan.Step) { s.IgnoreErrors = true },
		err: &executor.StartError{What: "no such command"}, state: build.Failed},
	{name: "engine broke", step: func(s *plan.Step) { s.IgnoreErrors = true },
		err: fmt.Errorf("wait: %w", executor.ErrEngine), state: build.Failed, stops: true, verdict: dispatch.Interrupted, reasonPrefix: "wait: "},
	{name: "not known", err: errors.New("something odd"), state: build.Failed, stops: true,
		verdict: dispatch.Interrupted, reasonPrefix: "something odd"},
}

// Whatever the steps do, the task ends as its first step that counts, and no step
// after that one begins.
func TestVerdictFollowsFromSteps(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		chosen := rapid.SliceOfN(rapid.SampledFrom(outcomes), 1, 5).Draw(rt, "steps")
		w := newBench(t)
		var task plan.Task
		want := []build.State{build.Succeeded}
		verdict, reason, over := dispatch.Succeeded, "", false
		for i, o := range chosen {
			step := plan.Step{Type: plan.StepRun, Run: &plan.Run{Command: []plan.Text{plan.Text(fmt.Sprint(i))}}}
			if o.step != nil {
				o.step(&step)
			}
			task.Steps = append(task.Steps, step)
			switch {
			case over:
				want = append(want, build.Waiting)
				continue
			case o.stops:
				verdict, reason, over = o.verdict, o.reasonPrefix, true
			}
			want = append(want, o.state)
		}
		w.Host = &scripted{answer: func(_ context.Context, cmd executor.Command) (executor.Result, error) {
			var i int
			if _, err := fmt.Sscan(cmd.Argv[0], &i); err != nil {
				return executor.Result{}, err
			}
			return chosen[i].result, chosen[i].err
		}}
		r := w.build(t, task)
		if r.Verdict != verdict || !strings.HasPrefix(r.Reason, reason) || reason == "" && r.Reason != "" {
			rt.Errorf("ended %s, %q; want %s, %q", r.Verdict, r.Reason, verdict, reason)
		}
		if diff := cmp.Diff(want, states(r)); diff != "" {
			rt.Errorf("states of the steps (-want +got):\n%s", diff)
		}
		w.checkClean(t)
	})
}

func TestStopEndsARunningStep(t *testing.T) {
	w := newBench(t)
	id := w.take(t, script("echo ready; exec sleep 600", "echo never"))
	w.ear.await(t, "ready")
	if err := w.Stop(id, "superseded by build 8"); err != nil {
		t.Fatal(err)
	}
	r := <-w.ear.ends
	want := []build.State{build.Succeeded, build.Failed, build.Waiting}
	if diff := cmp.Diff(want, states(r)); diff != "" {
		t.Errorf("states of the steps (-want +got):\n%s", diff)
	}
	if r.Verdict != dispatch.Failed || r.Reason != "superseded by build 8" || r.Steps[1].Reason != r.Reason {
		t.Errorf("ended %s, %q, its step %q", r.Verdict, r.Reason, r.Steps[1].Reason)
	}
	w.checkLog(t, r)
}

// A step that ends well after it was told to end has not done its work.
func TestStopOfAStepThatEndsWell(t *testing.T) {
	w := newBench(t)
	started := make(chan struct{})
	w.Host = &scripted{answer: func(ctx context.Context, _ executor.Command) (executor.Result, error) {
		close(started)
		<-ctx.Done()
		return executor.Result{}, nil
	}}
	id := w.take(t, script("true"))
	<-started
	if err := w.Stop(id, ""); err != nil {
		t.Fatal(err)
	}
	if r := <-w.ear.ends; r.Verdict != dispatch.Failed || r.Reason != "canceled" {
		t.Errorf("ended %s, %q", r.Verdict, r.Reason)
	}
}

// That its last step may fail does not excuse a task that is canceled in it.
func TestStopInALastStepThatMayFail(t *testing.T) {
	w, started, _ := held(t)
	task := script("true")
	task.Steps[0].IgnoreErrors = true
	id := w.take(t, task)
	<-started
	if err := w.Stop(id, "canceled"); err != nil {
		t.Fatal(err)
	}
	if r := <-w.ear.ends; r.Verdict != dispatch.Failed || r.Reason != "canceled" {
		t.Errorf("ended %s, %q", r.Verdict, r.Reason)
	}
}

func TestTimeouts(t *testing.T) {
	sleeper := script("sleep 600", "echo next")
	for name, c := range map[string]struct {
		change  func(*plan.Task, *Builder, plan.Duration)
		verdict dispatch.Verdict
		last    build.State
	}{
		"of the step": {func(p *plan.Task, _ *Builder, d plan.Duration) { p.Steps[0].Timeout = d }, dispatch.Failed, build.Waiting},
		"of a step that may fail": {func(p *plan.Task, _ *Builder, d plan.Duration) {
			p.Steps[0].Timeout, p.Steps[0].IgnoreErrors = d, true
		}, dispatch.Succeeded, build.Succeeded},
		"of the task": {func(p *plan.Task, _ *Builder, d plan.Duration) { p.Timeout = d }, dispatch.Failed, build.Waiting},
		"of the task, in a step that may fail": {func(p *plan.Task, _ *Builder, d plan.Duration) {
			p.Timeout, p.Steps[0].IgnoreErrors = d, true
		}, dispatch.Failed, build.Waiting},
		"of the builder": {func(_ *plan.Task, b *Builder, d plan.Duration) { b.Limit = time.Duration(d) }, dispatch.Failed, build.Waiting},
	} {
		t.Run(name, func(t *testing.T) {
			var w *bench
			var r dispatch.Result
			// On a busy machine the time may be over before the step begins.
			for d := 50 * time.Millisecond; d < time.Minute && (w == nil || r.Steps[1].Started.IsZero()); d *= 4 {
				w = newBench(t)
				task := plan.Task{Steps: []plan.Step{sleeper.Steps[0], sleeper.Steps[1]}}
				c.change(&task, w.Builder, plan.Duration(d))
				r = w.build(t, task)
			}
			if r.Verdict != c.verdict || r.Verdict == dispatch.Failed && r.Reason != "timed out" {
				t.Errorf("ended %s, %q", r.Verdict, r.Reason)
			}
			if r.Steps[1].Reason != "timed out" || r.Steps[2].State != c.last {
				t.Errorf("steps: %+v", r.Steps)
			}
			if !strings.Contains(w.ear.text(), "[velocity] timed out\n") {
				t.Errorf("log %q does not tell", w.ear.text())
			}
		})
	}
}

func TestRunEndsWhatItHas(t *testing.T) {
	w := newBench(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { w.Run(ctx); close(ended) }()
	w.take(t, script("echo ready; exec sleep 600"))
	w.ear.await(t, "ready")
	stop()
	r := <-w.ear.ends
	<-ended
	if r.Verdict != dispatch.Interrupted || r.Reason != "builder stopped" {
		t.Errorf("ended %s, %q", r.Verdict, r.Reason)
	}
	w.checkClean(t)
	var refused *dispatch.RefusedError
	if err := w.Take(dispatch.Assignment{Attempt: dispatch.Attempt{Task: "s0t1", Number: 1}}); !errors.As(err, &refused) {
		t.Errorf("Take after Run = %v; want a refusal", err)
	}
}

func TestWorkspaceErrors(t *testing.T) {
	for name, c := range map[string]struct {
		err     error
		verdict dispatch.Verdict
		reason  string
	}{
		"gone":       {fmt.Errorf("commit 0123 is not in /x: %w", source.ErrGone), dispatch.Failed, "open workspace: commit 0123 is not in /x: it is gone"},
		"submodules": {source.ErrSubmodules, dispatch.Failed, "open workspace: submodules cannot be fetched"},
		"disk full":  {errors.New("no space left on device"), dispatch.Interrupted, "open workspace: no space left on device"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			w.folders.err = c.err
			r := w.build(t, script("true"))
			if r.Verdict != c.verdict || r.Reason != c.reason {
				t.Errorf("ended %s, %q; want %s, %q", r.Verdict, r.Reason, c.verdict, c.reason)
			}
			w.checkClean(t)
		})
	}
}

func TestNoSpool(t *testing.T) {
	w := newBench(t)
	w.SpoolDir = filepath.Join(w.SpoolDir, "absent")
	r := w.build(t, script("echo lost"))
	if r.Verdict != dispatch.Interrupted || !strings.Contains(r.Reason, "write log") {
		t.Errorf("ended %s, %q", r.Verdict, r.Reason)
	}
}

func TestReapRemovesOldLogs(t *testing.T) {
	w := newBench(t)
	for _, name := range []string{"a.txt", "a.times"} {
		if err := os.WriteFile(filepath.Join(w.SpoolDir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Reap(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.checkClean(t)
}
