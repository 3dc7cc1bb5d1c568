package builder

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/executor"
)

// projects answers for the docker compose plugin.
type projects func(ctx context.Context, p executor.Project) (executor.Result, error)

func (f projects) Run(ctx context.Context, p executor.Project) (executor.Result, error) {
	return f(ctx, p)
}

func composeTask() plan.Task {
	return plan.Task{Name: "tests", Steps: []plan.Step{{
		Type: plan.StepCompose, Secrets: []string{"pass"}, Compose: &plan.ComposeStep{ComposeFile: "./${dir}/c.yml", Service: "web"},
	}}, Parameters: []plan.Parameter{
		{Name: "dir", Value: given("deploy")}, {Name: "pass", Secret: true, Value: given("pass-word-1")}, {Name: "other", Secret: true, Value: given("other-word-1")},
	}, Environment: []plan.Variable{{Name: "A", Value: "a ${dir}"}, {Name: "S", Value: "${other}"}}}
}

// A project is given what its step may see, its containers' lines are told apart
// and masked each by itself, and the step ends with its exit status.
func TestRunProject(t *testing.T) {
	w := newBench(t)
	w.Docker = &engine{}
	var got executor.Project
	w.Compose = projects(func(_ context.Context, p executor.Project) (executor.Result, error) {
		got = p
		web, db := p.Stream("web"), p.Stream("db")
		_, _ = io.WriteString(web, "it is pass-")
		_, _ = io.WriteString(db, "up\n")
		_, _ = io.WriteString(web, "word-1\n")
		_, _ = io.WriteString(p.Stderr, "Attaching\n")
		return executor.Result{Exit: 7}, nil
	})
	r := w.build(t, composeTask())
	if r.Verdict != dispatch.Failed || r.Reason != "exit 7" || r.Steps[1].Exit != 7 {
		t.Errorf("ended %s, %q, step %+v", r.Verdict, r.Reason, r.Steps[1])
	}
	for _, line := range []string{"[web] it is ***\n", "[db] up\n", "Attaching\n"} {
		if !strings.Contains(w.ear.text(), line) {
			t.Errorf("log is %q; want %q", w.ear.text(), line)
		}
	}
	if got.File != "deploy/c.yml" || got.Service != "web" || !filepath.IsAbs(got.Workspace) || got.Owner.Attempt != 1 || got.Grace != w.Grace {
		t.Errorf("project %+v", got)
	}
	for _, entry := range []string{"pass=pass-word-1", "A=a deploy", "CI=true"} {
		if !slices.Contains(got.Env, entry) {
			t.Errorf("environment %q; want %s", got.Env, entry)
		}
	}
	if strings.Contains(strings.Join(got.Env, " "), "other-word-1") {
		t.Errorf("environment %q has a secret that the step does not list", got.Env)
	}
}

// How a project ends other than by an exit status.
func TestProjectEnds(t *testing.T) {
	for name, c := range map[string]struct {
		err     error
		verdict dispatch.Verdict
		reason  string
	}{
		"refused":     {&executor.StartError{What: "services.a.privileged: no, pass-word-1"}, dispatch.Failed, "services.a.privileged: no, ***"},
		"engine gone": {errors.Join(executor.ErrEngine), dispatch.Interrupted, "executor broke"},
		"well":        {nil, dispatch.Succeeded, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			w.Docker = &engine{}
			w.Compose = projects(func(context.Context, executor.Project) (executor.Result, error) { return executor.Result{}, c.err })
			if r := w.build(t, composeTask()); r.Verdict != c.verdict || r.Reason != c.reason {
				t.Errorf("ended %s, %q; want %s, %q", r.Verdict, r.Reason, c.verdict, c.reason)
			}
		})
	}
	w := newBench(t)
	w.Docker = &engine{}
	w.Compose = projects(func(context.Context, executor.Project) (executor.Result, error) { return executor.Result{}, nil })
	if diff := cmp.Diff([]string{"docker", "compose", "host"}, w.presence().Executors); diff != "" {
		t.Errorf("executors (-want +got):\n%s", diff)
	}
	task := composeTask()
	task.Steps[0].Compose.ComposeFile = "../c.yml"
	if r := w.build(t, task); r.Verdict != dispatch.Failed || !strings.Contains(r.Reason, "leads out of the workspace") {
		t.Errorf("a file outside: %s, %q", r.Verdict, r.Reason)
	}
}
