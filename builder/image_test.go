package builder

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/executor"
)

// imageTask builds and pushes, logged in to a registry.
func imageTask() plan.Task {
	return plan.Task{
		Parameters: []plan.Parameter{
			{Name: "v", Value: given("1.2")}, {Name: "user", Value: given("ada")},
			{Name: "pass", Secret: true, Value: given("pass-word-1")}, {Name: "token", Secret: true, Value: given("token-token")},
			{Name: "key", Secret: true, Value: given("key-key-key")},
		},
		Registries: []plan.Registry{{Address: "https://r.example.com", Username: "${user}", Password: "${pass}"}},
		Steps: []plan.Step{
			{Type: plan.StepBuild, Secrets: []string{"token", "key"}, Build: &plan.ImageBuild{
				Context: "./app", Dockerfile: "app/Dockerfile", Tags: []plan.Text{"r.example.com/app:${v}"}, Target: "t${v}",
				Args: []plan.Variable{{Name: "K", Value: "${key}"}}, Platforms: []string{"linux/arm64"},
			}},
			{Type: plan.StepPush, Push: &plan.ImagePush{Tags: []plan.Text{"r.example.com/app:${v}"}}},
			{Type: plan.StepRun, Run: &plan.Run{Image: "r.example.com/app:${v}", Command: []plan.Text{"true"}}},
		},
	}
}

// onEngine gives a bench an engine whose containers succeed.
func onEngine(w *bench) *engine {
	e := &engine{scripted: scripted{answer: func(context.Context, executor.Command) (executor.Result, error) {
		return executor.Result{}, nil
	}}}
	w.Docker = e
	return e
}

// All values of image steps are final, the logins go along with each, and what
// they made stands in the result.
func TestImageSteps(t *testing.T) {
	w := newBench(t)
	e := onEngine(w)
	e.build = func(_ context.Context, b executor.ImageBuild) error {
		_, err := fmt.Fprintln(b.Stdout, "built with token-token and pass-word-1")
		return err
	}
	r := w.build(t, imageTask())
	if r.Verdict != dispatch.Succeeded {
		t.Fatalf("ended %s, %q", r.Verdict, r.Reason)
	}
	logins := []executor.Login{{Registry: "r.example.com", Username: "ada", Password: "pass-word-1"}}
	got := e.builds[0]
	got.Stdout, got.Stderr, got.Workspace = nil, nil, ""
	want := executor.ImageBuild{
		Owner:   executor.Owner{Builder: "b1", Build: "k3f9a2-7", Task: "s0t0", Attempt: 1},
		Context: "app", Dockerfile: "app/Dockerfile", Tags: []string{"r.example.com/app:1.2"}, Target: "t1.2",
		Args: []string{"K=key-key-key"}, Secrets: []executor.Secret{{Name: "token", Value: "token-token"}},
		Platforms: []string{"linux/arm64"}, Logins: logins, Grace: w.Grace,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Build was asked for (-want +got):\n%s", diff)
	}
	e.pushes[0].Stdout = nil
	if diff := cmp.Diff(executor.ImagePush{Tags: []string{"r.example.com/app:1.2"}, Logins: logins}, e.pushes[0]); diff != "" {
		t.Errorf("Push was asked for (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(logins, e.commands()[0].Logins); diff != "" {
		t.Errorf("Run has logins (-want +got):\n%s", diff)
	}
	images := [][]build.Image{r.Steps[1].Images, r.Steps[2].Images, r.Steps[3].Images}
	if diff := cmp.Diff([][]build.Image{{{Name: "r.example.com/app:1.2", Digest: "sha256:built"}}, {{Name: "r.example.com/app:1.2", Digest: "sha256:pushed"}}, nil}, images); diff != "" {
		t.Errorf("the result's images (-want +got):\n%s", diff)
	}
	if w.ear.text() != "built with *** and ***\n" {
		t.Errorf("log is %q", w.ear.text())
	}
	for _, secret := range []string{"pass-word-1", "token-token", "key-key-key"} {
		if strings.Contains(fmt.Sprintf("%v %+v %#v %s %s", e.logins, e.pushes, e.logins, e.builds[0].Secrets, w.log), secret) || strings.Contains(w.ear.said.String(), secret) {
			t.Errorf("%s shows", secret)
		}
	}
}

func TestImageStepsFail(t *testing.T) {
	refuse := &executor.ImageError{What: "registry r.example.com refused the login of ada", Hint: "check pass-word-1"}
	for name, c := range map[string]struct {
		change  func(*plan.Task, *engine)
		verdict dispatch.Verdict
		reason  string
	}{
		"login refused": {func(_ *plan.Task, e *engine) { e.login = func(executor.Login) error { return refuse } },
			dispatch.Failed, "registry r.example.com refused the login of ada (check ***)"},
		"build refused": {func(_ *plan.Task, e *engine) {
			e.build = func(context.Context, executor.ImageBuild) error { return refuse }
		}, dispatch.Failed, "registry r.example.com refused"},
		"push refused": {func(_ *plan.Task, e *engine) {
			e.push = func(context.Context, executor.ImagePush) error { return refuse }
		}, dispatch.Failed, "registry r.example.com refused"},
		"engine gone": {func(_ *plan.Task, e *engine) {
			e.push = func(context.Context, executor.ImagePush) error { return fmt.Errorf("x: %w", executor.ErrEngine) }
		}, dispatch.Interrupted, "x: executor broke"},
		"context outside":    {func(p *plan.Task, _ *engine) { p.Steps[0].Build.Context = "../x" }, dispatch.Failed, `step 1: "../x" leads out of the workspace`},
		"dockerfile outside": {func(p *plan.Task, _ *engine) { p.Steps[0].Build.Dockerfile = "/etc/passwd" }, dispatch.Failed, `step 1: "/etc/passwd" leads out of the workspace`},
		"withheld":           {func(p *plan.Task, _ *engine) { p.Steps[1].Push.Tags[0] = "x:${token}" }, dispatch.Failed, "step 2: tags: ${token} is a secret that the step does not list"},
		"no password":        {func(p *plan.Task, _ *engine) { p.Registries[0].Password = "" }, dispatch.Failed, "registry https://r.example.com: its login has no username or no password"},
		"short password":     {func(p *plan.Task, _ *engine) { p.Registries[0].Password = "short" }, dispatch.Failed, "secret password of registry https://r.example.com is too short to be masked"},
		"unknown":            {func(p *plan.Task, _ *engine) { p.Registries[0].Username = "${nope}" }, dispatch.Failed, "registry https://r.example.com: ${nope}: no parameter"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			task, e := imageTask(), onEngine(w)
			c.change(&task, e)
			r := w.build(t, task)
			if r.Verdict != c.verdict || !strings.HasPrefix(r.Reason, c.reason) {
				t.Errorf("ended %s, %q; want %s, %q", r.Verdict, r.Reason, c.verdict, c.reason)
			}
		})
	}
}

// An executable of the repository may tell the credentials, which are masked
// before what else it printed is shown.
func TestRegistryExecutable(t *testing.T) {
	for name, c := range map[string]struct {
		body   string
		want   executor.Login
		log    string
		reason string
	}{
		"all":     {`echo "using a-long-password" >&2; echo "{\"username\":\"ada\",\"password\":\"a-long-password\",\"address\":\"other.example.com\"}"`, executor.Login{Registry: "other.example.com", Username: "ada", Password: "a-long-password"}, "using ***\n", ""},
		"address": {`printf '{"username":"%s","password":"a-long-password"}' "$1"`, executor.Login{Registry: "r.example.com", Username: "-who=ada", Password: "a-long-password"}, "", ""},
		"garbage": {`echo a-long-password; echo a-long-password >&2`, executor.Login{}, "[velocity] registry login ./login: its messages are not shown since they may hold a secret\n", "registry login ./login: its output is not JSON"},
		"failed":  {`echo '{"state":"failed","error":"the vault is shut"}'`, executor.Login{}, "", "registry login ./login: the vault is shut"},
		"exit":    {`exit 3`, executor.Login{}, "", "registry login ./login: exit 3 without credentials"},
		"empty":   {`echo '{}'`, executor.Login{}, "", "registry r.example.com: its login has no username"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			e := onEngine(w)
			w.folders.fill = func(dir string) error {
				return os.WriteFile(filepath.Join(dir, "login"), []byte("#!/bin/sh\n"+c.body+"\n"), 0o700)
			}
			task := image("busybox")
			task.Registries = []plan.Registry{{Address: "r.example.com", Use: "./login", Arguments: []plan.Variable{{Name: "who", Value: "ada"}}}}
			r := w.build(t, task)
			if !strings.HasPrefix(r.Reason, c.reason) || (r.Verdict == dispatch.Succeeded) != (c.reason == "") {
				t.Fatalf("ended %s, %q; want %q", r.Verdict, r.Reason, c.reason)
			}
			if log, _, _ := strings.Cut(w.ear.text(), "[velocity] registry login ./login: its output"); !strings.HasPrefix(w.ear.text(), c.log) || strings.Contains(log, "a-long-password") {
				t.Errorf("log is %q; want %q", w.ear.text(), c.log)
			}
			if c.reason == "" && (len(e.logins) != 1 || e.logins[0] != c.want) {
				t.Errorf("logged in as %#v", e.logins)
			}
		})
	}
}

// A task that uses no engine does not log in.
func TestNoLoginWithoutEngine(t *testing.T) {
	w := newBench(t)
	e := onEngine(w)
	e.login = func(executor.Login) error { return errors.New("asked") }
	task := script("true")
	task.Registries = []plan.Registry{{Address: "r.example.com", Username: "a", Password: "password"}}
	if r := w.build(t, task); r.Verdict != dispatch.Succeeded || len(e.logins) > 0 {
		t.Errorf("ended %s, %q, after %d logins", r.Verdict, r.Reason, len(e.logins))
	}
}

// What services print is in the step's log, line by line under their names.
func TestServicesOfAStep(t *testing.T) {
	w := newBench(t)
	e := onEngine(w)
	e.answer = func(_ context.Context, cmd executor.Command) (executor.Result, error) {
		db, web := cmd.Services[0], cmd.Services[1]
		for _, write := range []func() (int, error){
			func() (int, error) { return fmt.Fprint(db.Stdout, "one\nt") },
			func() (int, error) { return fmt.Fprint(web.Stderr, "token-token is here\n") },
			func() (int, error) { return fmt.Fprint(db.Stdout, "wo\n\nthree") },
		} {
			if _, err := write(); err != nil {
				return executor.Result{}, err
			}
		}
		db.Stdout, db.Stderr, web.Stdout, web.Stderr = nil, nil, nil, nil
		want := []executor.Service{
			{Alias: "db", Image: "postgres:1.2", Argv: []string{"serve", "1.2"}, Env: []string{"P=token-token"}, Ready: []string{"ready", "1.2"}},
			{Alias: "web", Image: "web", Argv: []string{}, Env: []string{}, Ready: []string{}},
		}
		if diff := cmp.Diff(want, []executor.Service{db, web}); diff != "" {
			t.Errorf("services (-want +got):\n%s", diff)
		}
		return executor.Result{}, nil
	}
	task := imageTask()
	task.Steps = []plan.Step{{Type: plan.StepRun, Secrets: []string{"token"}, Run: &plan.Run{Image: "x", Script: "true", Services: []plan.Service{
		{Image: "postgres:${v}", Alias: "db", Command: []plan.Text{"serve", "${v}"}, Environment: []plan.Variable{{Name: "P", Value: "${token}"}}, Ready: []plan.Text{"ready", "${v}"}},
		{Image: "web", Alias: "web"},
	}}}}
	if r := w.build(t, task); r.Verdict != dispatch.Succeeded {
		t.Fatalf("ended %s, %q", r.Verdict, r.Reason)
	}
	if got, want := w.ear.text(), "[db] one\n[web] *** is here\n[db] two\n[db] \n[db] three\n"; got != want {
		t.Errorf("log is %q; want %q", got, want)
	}
}
