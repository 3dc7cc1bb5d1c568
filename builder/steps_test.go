package builder

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/executor"
)

// What always runs does so after a failure, which stays the reason; what is to be
// skipped does not.
func TestAlwaysAndSkip(t *testing.T) {
	w := newBench(t)
	task := script("echo one", "echo two; exit 4", "echo three", "echo four; exit 5", "echo five", "echo six")
	for _, i := range []int{3, 5} {
		task.Steps[i].Always = true
	}
	task.Steps[0].Skip = true
	task.Steps[4].Skip = true
	r := w.build(t, task)
	if r.Verdict != dispatch.Failed || r.Reason != "exit 4" || w.ear.text() != "two\nfour\nsix\n" {
		t.Errorf("ended %s, %q, log %q", r.Verdict, r.Reason, w.ear.text())
	}
	want := []build.State{build.Succeeded, build.Succeeded, build.Failed, build.Waiting, build.Failed, build.Succeeded, build.Succeeded}
	if diff := cmp.Diff(want, states(r)); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	if skipped := r.Steps[1]; skipped.Reason != "skipped" || skipped.Started.IsZero() || skipped.Finished != skipped.Started || skipped.From != skipped.To {
		t.Errorf("skipped step is %+v", skipped)
	}
	w.checkLog(t, r)
}

// What always runs does so after a cancel and after the task's time is up, and
// without a setup there is nothing to clean up after.
func TestAlwaysAfterTheEnd(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*plan.Task)
		reason string
		log    string
	}{
		"canceled":  {func(*plan.Task) {}, "canceled by ada", "begun\ncleaned\n"},
		"timed out": {func(p *plan.Task) { p.Timeout, p.Steps[0].Run.Script = plan.Duration(2*time.Second), "sleep 600" }, "timed out", "cleaned\n"},
		"no setup":  {func(p *plan.Task) { p.Parameters = []plan.Parameter{{Name: "x"}} }, "parameter x has no value", "[velocity] parameter x has no value\n"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			task := script("echo begun; sleep 600", "echo never", "echo cleaned")
			task.Steps[2].Always = true
			c.change(&task)
			a := w.take(t, task)
			if name == "canceled" {
				w.ear.await(t, "begun")
				if err := w.Stop(a, c.reason); err != nil {
					t.Fatal(err)
				}
			}
			r := <-w.ear.ends
			log := strings.ReplaceAll(w.ear.text(), "[velocity] "+c.reason+"\n", "")
			if name == "no setup" {
				log = w.ear.text()
			}
			if r.Verdict != dispatch.Failed || r.Reason != c.reason || log != c.log {
				t.Errorf("ended %s, %q, log %q; want %q, %q", r.Verdict, r.Reason, w.ear.text(), c.reason, c.log)
			}
		})
	}
}

// Work that is interrupted is done again elsewhere, and what cleans up after it
// is part of that.
func TestAlwaysNotWhenInterrupted(t *testing.T) {
	w := newBench(t)
	ran := 0
	w.Host = &scripted{answer: func(context.Context, executor.Command) (executor.Result, error) {
		ran++
		return executor.Result{}, executor.ErrEngine
	}}
	task := script("true", "true")
	task.Steps[1].Always = true
	if r := w.build(t, task); r.Verdict != dispatch.Interrupted || ran != 1 {
		t.Errorf("ended %s, %q, after %d steps", r.Verdict, r.Reason, ran)
	}
}

// An attempt that nobody waits for any more ends, and its cleaning up with it.
func TestAlwaysEndsWithTheReport(t *testing.T) {
	w := newBench(t)
	running := make(chan string)
	w.Host = &scripted{answer: func(ctx context.Context, cmd executor.Command) (executor.Result, error) {
		name := cmd.Argv[len(cmd.Argv)-1]
		if name == "next attempt" {
			return executor.Result{}, nil
		}
		running <- name
		<-ctx.Done()
		return executor.Result{}, context.Cause(ctx)
	}}
	task := script("first", "cleanup")
	task.Steps[1].Always = true
	a := w.take(t, task)
	for _, want := range []string{"first", "cleanup"} {
		if got := <-running; got != want {
			t.Fatalf("%s runs; want %s", got, want)
		}
		if err := w.Stop(a, ""); err != nil { // the second one changes nothing
			t.Fatal(err)
		}
	}
	w.take(t, script("next attempt"), func(a *dispatch.Assignment) { a.Attempt.Number = 2 })
	if r := <-w.ear.ends; r.Attempt.Number != 2 || r.Verdict != dispatch.Succeeded {
		t.Errorf("attempt %d ended %s, %q", r.Attempt.Number, r.Verdict, r.Reason)
	}
}

// The task's environment is every step's, under its own; a variable that holds a
// secret only reaches steps that list the secret.
func TestTaskEnvironment(t *testing.T) {
	w := newBench(t)
	task := script(`echo "$A $B ${S-none}"`, `echo "$A $B ${S-none}"`)
	task.Parameters = []plan.Parameter{{Name: "v", Value: given("1")}, {Name: "pass", Secret: true, Value: given("pass-word-1")}}
	task.Environment = []plan.Variable{{Name: "A", Value: "a${v}"}, {Name: "B", Value: "b"}, {Name: "S", Value: "x${pass}"}}
	task.Steps[1].Run.Environment = []plan.Variable{{Name: "B", Value: "own"}}
	task.Steps[1].Secrets = []string{"pass"}
	if r := w.build(t, task); r.Verdict != dispatch.Succeeded || w.ear.text() != "a1 b none\na1 own x***\n" {
		t.Errorf("ended %s, %q, log %q", r.Verdict, r.Reason, w.ear.text())
	}
}

// Values that expire while the task runs are derived again before the next step
// that sees them.
func TestDerivedAgain(t *testing.T) {
	w := newBench(t)
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	w.Now = func() time.Time { return now }
	w.folders.fill = func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "derive"), []byte(`#!/bin/sh
echo x >>times
n=$(wc -l <times)
case $n in 3) expires=2030-01-01T00:00:30Z;; *) expires=2030-01-01T00:0$n:00Z;; esac
printf '{"state":"success","expires":"%s","exports":{"n":"%s"}}' $expires $n
`), 0o700)
	}
	host := w.Host
	steps := 0
	w.Host = &scripted{answer: func(ctx context.Context, cmd executor.Command) (executor.Result, error) {
		if len(cmd.Argv) > 1 { // a step's script
			if steps++; steps == 2 || steps == 3 {
				now = now.Add(time.Minute)
			}
		}
		return host.Run(ctx, cmd)
	}}
	task := with(script("echo $n", "echo $n", "echo $n", "echo $n"), plan.Parameter{Derived: &plan.Derived{Use: "derive"}})
	r := w.build(t, task)
	const again = "[velocity] derived parameter derive: its values expired at 2030-01-01T00:0"
	want := "1\n1\n" + again + "1:00Z, deriving them again\n2\n" + again + "2:00Z, deriving them again\n"
	if !strings.HasPrefix(w.ear.text(), want) || r.Verdict != dispatch.Failed || r.Reason != "derived parameter derive: its values expired at 2030-01-01T00:00:30Z" {
		t.Errorf("ended %s, %q, log %q; want %q", r.Verdict, r.Reason, w.ear.text(), want)
	}
}

// fetched is a store of executables that has one, or fails.
type fetched struct {
	path string
	err  error
}

func (f fetched) Get(context.Context, string, string) (string, error) { return f.path, f.err }

func TestDerivedFromURL(t *testing.T) {
	w := newBench(t)
	tool := filepath.Join(t.TempDir(), "tool")
	if err := os.WriteFile(tool, []byte("#!/bin/sh\nprintf '{\"state\":\"success\",\"exports\":{\"n\":\"from afar\"}}'\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.Files = fetched{path: tool}
	task := with(script("echo $n"), plan.Parameter{Derived: &plan.Derived{Use: "https://example.com/tool", SHA256: "00"}})
	if r := w.build(t, task); r.Verdict != dispatch.Succeeded || w.ear.text() != "from afar\n" {
		t.Errorf("ended %s, %q, log %q", r.Verdict, r.Reason, w.ear.text())
	}
	w = newBench(t)
	if r := w.build(t, task); r.Verdict != dispatch.Failed || !strings.Contains(r.Reason, "fetches no executables") {
		t.Errorf("ended %s, %q", r.Verdict, r.Reason)
	}
	w = newBench(t)
	w.Files = fetched{err: errors.New("no route")}
	if r := w.build(t, task); r.Verdict != dispatch.Interrupted || r.Reason != "derived parameter https://example.com/tool: no route" {
		t.Errorf("ended %s, %q", r.Verdict, r.Reason)
	}
}

// After a warning, what was not derived is what it would be without.
func TestWarningFallsBack(t *testing.T) {
	w := newBench(t)
	w.folders.fill = func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "derive"), []byte("#!/bin/sh\necho '{\"state\":\"warning\",\"error\":\"slow\",\"exports\":{\"a\":\"derived\"}}'\n"), 0o700)
	}
	task := with(script("echo $one $two"), plan.Parameter{Derived: &plan.Derived{Use: "derive", Exports: map[string]string{"a": "one", "b": "two"}}})
	r := w.build(t, task, func(a *dispatch.Assignment) {
		a.Values = map[string]string{"one": "given", "two": "given too"}
	})
	if r.Verdict != dispatch.Succeeded || !strings.HasSuffix(w.ear.text(), "derived given too\n") {
		t.Errorf("ended %s, %q, log %q", r.Verdict, r.Reason, w.ear.text())
	}
}
