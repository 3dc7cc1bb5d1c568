package builder

import (
	"bytes"
	"context"
	"errors"
	"io"
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

const resumedSecret = "correct-horse-battery"

// inContainers is a task of scripts in containers, with a secret.
func inContainers(scripts ...string) plan.Task {
	task := script(scripts...)
	task.Parameters = []plan.Parameter{{Name: "token", Secret: true}, {Name: "colour", Value: given("green")}}
	for i := range task.Steps {
		task.Steps[i].Run.Image, task.Steps[i].Secrets = plan.Text("an-image"), []string{"token"}
	}
	return task
}

// begun is a builder in the middle of a step that has printed half of a line
// with a secret, and what it runs.
func begun(t *testing.T, change ...func(*dispatch.Assignment)) *bench {
	t.Helper()
	w := keeper(t)
	keys, err := dispatch.NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	w.Sealer = keys
	w.Docker = &engine{scripted: scripted{answer: func(ctx context.Context, cmd executor.Command) (executor.Result, error) {
		if cmd.Begin != nil {
			if err := cmd.Begin("c1"); err != nil {
				return executor.Result{}, err
			}
		}
		_, _ = io.WriteString(cmd.Stdout, "one "+resumedSecret+"\n")
		_, _ = io.WriteString(cmd.Stderr, "two\n")
		_, _ = io.WriteString(cmd.Stderr, "thr"+resumedSecret[:5])
		<-ctx.Done()
		return executor.Result{}, context.Cause(ctx)
	}}}
	change = append([]func(*dispatch.Assignment){func(a *dispatch.Assignment) {
		a.Values["token"], a.Credential = resumedSecret, "password-of-the-attempt"
	}}, change...)
	w.take(t, inContainers("first", "second"), change...)
	w.ear.await(t, "two\n")
	return w
}

// killed is what finds all that w had on the disk at this moment. The files are
// copied one by one: whatever w writes meanwhile must fit what was copied before.
func (w *bench) killed(t *testing.T) *bench {
	t.Helper()
	next := keeper(t)
	next.Boot, next.Sealer = "boot2", w.Sealer
	for from, to := range map[string]string{w.SpoolDir: next.SpoolDir, w.folders.root: next.folders.root} {
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	next.Docker = &engine{
		scripted: scripted{answer: func(_ context.Context, cmd executor.Command) (executor.Result, error) {
			if _, err := os.Stat(filepath.Join(next.SpoolDir, "k3f9a2-7-s0t0.1", resumptionFile)); err == nil {
				t.Error("the record of a step lies on the disk after its end")
			}
			_, err := io.WriteString(cmd.Stdout, "of the second step\n")
			return executor.Result{Image: "sha256:2"}, err
		}},
		resume: func(_ context.Context, container string, cmd executor.Command) (executor.Result, error) {
			_, _ = io.WriteString(cmd.Stderr, "two\nthr"+resumedSecret+"\n")
			_, err := io.WriteString(cmd.Stdout, "one "+resumedSecret+"\nfour\n")
			return executor.Result{Image: "sha256:of-" + container}, err
		},
	}
	return next
}

// outcome is the result of the attempt that was begun.
func (w *bench) outcome(t *testing.T) dispatch.Result {
	t.Helper()
	if err := w.Reap(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := w.serve(t)
	r := <-w.ear.ends
	if err := w.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop()
	return r
}

// The successor of a killed builder goes on with the step and then with the next
// one: same parameters, same workspace, one log with every byte once and without
// the secret that the kill cut in two.
func TestKilledBuilderIsSucceeded(t *testing.T) {
	w := begun(t)
	next := w.killed(t)
	var resumed executor.Command
	docker := next.Docker.(*engine)
	resume := docker.resume
	docker.resume = func(ctx context.Context, container string, cmd executor.Command) (executor.Result, error) {
		resumed = cmd
		if p := <-next.ear.here; len(p.Running) != 1 {
			t.Errorf("the first sign of life mentions %v", p.Running)
		}
		return resume(ctx, container, cmd)
	}
	r := next.outcome(t)
	if r.Verdict != dispatch.Succeeded || r.Attempt.Number != 1 {
		t.Fatalf("ended %+v, its log %q", r, next.ear.text())
	}
	want := "one ***\ntwo\nthr***\nfour\nof the second step\n"
	if got := next.ear.text(); got != want {
		t.Errorf("the log is %q, want %q", got, want)
	}
	next.checkLog(t, r)
	next.checkClean(t)
	first := w.Docker.(*engine).commands()[0]
	resumed.Workspace, first.Workspace = filepath.Base(resumed.Workspace), filepath.Base(first.Workspace)
	for _, cmd := range []*executor.Command{&resumed, &first} {
		cmd.Begin, cmd.Stdout, cmd.Stderr = nil, nil, nil
	}
	if diff := cmp.Diff(first, resumed, cmp.Comparer(func(a, b func(string) error) bool { return (a == nil) == (b == nil) })); diff != "" {
		t.Errorf("it resumed something else than what began (-began +resumed):\n%s", diff)
	}
	if s := r.Steps[1]; s.State != build.Succeeded || s.Image != "sha256:of-c1" || s.From != 0 || s.To != int64(len(want)-len("of the second step\n")) {
		t.Errorf("step %+v", s)
	}
}

// What lies on the disk while a step runs has no secret in it.
func TestNoSecretLiesOnTheDisk(t *testing.T) {
	w := begun(t)
	files := 0
	err := filepath.WalkDir(w.SpoolDir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, secret := range []string{resumedSecret, resumedSecret[:5], "password-of-the-attempt"} {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s holds %q", path, secret)
			}
		}
		files++
		return err
	})
	if err != nil || files < 4 {
		t.Errorf("%d files: %v", files, err)
	}
}

// The time an attempt may take goes on while nobody watches it.
func TestResumedAttemptKeepsItsTime(t *testing.T) {
	next := begun(t).killed(t)
	next.Limit = time.Hour
	next.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	next.Docker.(*engine).resume = func(ctx context.Context, _ string, _ executor.Command) (executor.Result, error) {
		<-ctx.Done()
		return executor.Result{}, context.Cause(ctx)
	}
	if r := next.outcome(t); r.Verdict != dispatch.Failed || r.Reason != "timed out" {
		t.Errorf("ended %+v", r)
	}
}

// What is not exactly what the earlier process left is interrupted, and never
// passes.
func TestDoubtfulAttemptsAreInterrupted(t *testing.T) {
	inFolder := func(change func(next *bench, dir string) error) func(*bench) error {
		return func(next *bench) error {
			return change(next, filepath.Join(next.SpoolDir, "k3f9a2-7-s0t0.1"))
		}
	}
	rewritten := func(change func(r *resumption)) func(*bench) error {
		return inFolder(func(next *bench, dir string) error {
			k := keeping{dir: dir}
			r, err := next.readResumption(k)
			if err == nil {
				change(r)
				err = next.writeResumption(k, r)
			}
			return err
		})
	}
	for name, c := range map[string]struct {
		change func(next *bench) error
		reason string
	}{
		"altered": {inFolder(func(_ *bench, dir string) error {
			path := filepath.Join(dir, resumptionFile)
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			data[len(data)-1] ^= 1
			return os.WriteFile(path, data, 0o600)
		}), "builder restarted"},
		"none":               {inFolder(func(_ *bench, dir string) error { return os.Remove(filepath.Join(dir, resumptionFile)) }), "builder restarted"},
		"of another version": {rewritten(func(r *resumption) { r.Version++ }), "builder restarted"},
		"of no step":         {rewritten(func(r *resumption) { r.Step = 2 }), "builder restarted"},
		"of another attempt": {rewritten(func(r *resumption) { r.Given.Attempt.Number++ }), "builder restarted"},
		"sealed by another": {func(next *bench) error {
			keys, err := dispatch.NewKeys()
			next.Sealer = keys
			return err
		}, "builder restarted"},
		"with a damaged log": {inFolder(func(_ *bench, dir string) error {
			return os.WriteFile(filepath.Join(dir, "log.streams"), nil, 0o600)
		}), "builder restarted: take up log"},
		"with another log": {inFolder(func(_ *bench, dir string) error {
			return os.WriteFile(filepath.Join(dir, "log.txt"), []byte("one ***\ntwi\n"), 0o600)
		}), "differs"},
		"without its workspace": {func(next *bench) error {
			return os.RemoveAll(filepath.Join(next.folders.root, "k3f9a2-7-s0t0.1"))
		}, "no such file"},
		"whose container is gone": {func(next *bench) error {
			next.Docker.(*engine).resume = func(context.Context, string, executor.Command) (executor.Result, error) {
				return executor.Result{}, executor.ErrEngine
			}
			return nil
		}, "builder restarted: executor broke"},
		"whose output is shorter": {func(next *bench) error {
			next.Docker.(*engine).resume = func(_ context.Context, _ string, cmd executor.Command) (executor.Result, error) {
				_, err := io.WriteString(cmd.Stderr, "two\n")
				return executor.Result{}, err
			}
			return nil
		}, "differs"},
	} {
		t.Run(name, func(t *testing.T) {
			next := begun(t).killed(t)
			if err := c.change(next); err != nil {
				t.Fatal(err)
			}
			r := next.outcome(t)
			if r.Verdict != dispatch.Interrupted || !strings.HasPrefix(r.Reason, "builder restarted") || !strings.Contains(r.Reason, c.reason) {
				t.Errorf("ended %s, %q, want interrupted and %q", r.Verdict, r.Reason, c.reason)
			}
		})
	}
}

// What is taken up is spared by the reaper, which comes first.
func TestReapSparesWhatIsTakenUp(t *testing.T) {
	next := begun(t).killed(t)
	if err := next.Reap(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := dispatch.Attempt{Build: build.ID{Store: "k3f9a2", Number: 7}, Task: "s0t0", Number: 1}
	if !next.has("k3f9a2-7-s0t0.1") || !next.owns(next.owner(a).String()) {
		t.Error("the workspace and the container are given to the reaper")
	}
	next.serve(t)()
}

// Only what can be taken up is told to last.
func TestWhatDoesNotLast(t *testing.T) {
	for name, change := range map[string]func(w *bench, task *plan.Task){
		"without a key":     func(w *bench, _ *plan.Task) { w.Sealer = nil },
		"without its place": func(w *bench, _ *plan.Task) { w.Keep = 0 },
		"on the machine":    func(w *bench, _ *plan.Task) { w.HostForImages, w.Host = true, w.Docker },
		"with artifacts":    func(_ *bench, task *plan.Task) { task.Artifacts = []string{"out/**"} },
		"with caches":       func(_ *bench, task *plan.Task) { task.Caches = []plan.Cache{{Key: "k"}} },
		"with services":     func(_ *bench, task *plan.Task) { task.Steps[0].Run.Services = []plan.Service{{Alias: "db"}} },
	} {
		t.Run(name, func(t *testing.T) {
			w := keeper(t)
			keys, err := dispatch.NewKeys()
			if err != nil {
				t.Fatal(err)
			}
			w.Sealer = keys
			lasts := errors.New("not asked")
			w.Docker = &engine{scripted: scripted{answer: func(_ context.Context, cmd executor.Command) (executor.Result, error) {
				lasts = nil
				if cmd.Begin != nil {
					lasts = errors.New("it is told to last")
				}
				return executor.Result{}, nil
			}}}
			task := inContainers("first")
			change(w, &task)
			stop := w.serve(t)
			w.take(t, task, func(a *dispatch.Assignment) { a.Values["token"] = resumedSecret })
			if r := <-w.ear.ends; lasts != nil {
				t.Errorf("ended %s, %q: %v", r.Verdict, r.Reason, lasts)
			}
			stop()
		})
	}
}
