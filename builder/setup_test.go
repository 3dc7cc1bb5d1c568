package builder

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/executor"
)

func image(name plan.Text) plan.Task {
	return plan.Task{Steps: []plan.Step{{Type: plan.StepRun, Run: &plan.Run{Image: name, Command: []plan.Text{"true"}}}}}
}

func with(p plan.Task, parameters ...plan.Parameter) plan.Task {
	p.Parameters = parameters
	return p
}

// What cannot run here is refused in setup, by its author's words, and nothing
// runs.
func TestSetupRefuses(t *testing.T) {
	none := &executor.StartError{What: "no Docker engine: connection refused", Hint: "use --executor host or name no image"}
	for name, c := range map[string]struct {
		task   plan.Task
		change func(*Builder)
		want   string
	}{
		"step type": {task: plan.Task{Steps: []plan.Step{script("true").Steps[0], {Type: "dance"}}},
			want: "step 2 (dance): this builder cannot run dance steps"},
		"no plugin": {task: plan.Task{Steps: []plan.Step{{Type: plan.StepCompose, Compose: &plan.ComposeStep{}}}}, change: func(b *Builder) { b.Docker = &engine{} },
			want: "step 1 (compose): this builder has no docker compose plugin (version 2.20 or newer)"},
		"no engine for a project": {task: plan.Task{Steps: []plan.Step{{Type: plan.StepCompose, Compose: &plan.ComposeStep{}}}}, change: func(b *Builder) { b.Docker = nil },
			want: "step 1 (compose): this builder has no Docker engine: start it with --executor docker"},
		"no engine for a build": {task: plan.Task{Steps: []plan.Step{{Type: plan.StepBuild, Build: &plan.ImageBuild{}}}}, change: func(b *Builder) { b.Docker, b.HostForImages = nil, true },
			want: "step 1 (build): this builder has no Docker engine: start it with --executor docker"},
		"no engine for a push": {task: plan.Task{Steps: []plan.Step{{Type: plan.StepPush, Push: &plan.ImagePush{}}}},
			want: "step 1 (push): this builder has no Docker engine: start it with --executor docker"},
		"services on the host": {task: plan.Task{Steps: []plan.Step{{Type: plan.StepRun, Run: &plan.Run{Script: "true", Services: []plan.Service{{Alias: "db"}}}}}},
			want: "step 1 has services, which only run beside a container: name an image, and a builder with --executor docker"},
		"no engine": {task: image("busybox"), change: func(b *Builder) { b.Docker = nil },
			want: "step 1 needs an image (busybox), and this builder has no Docker engine: --executor host runs it on this machine"},
		"engine does not answer": {task: image("busybox"), change: func(b *Builder) { b.Docker = &engine{absent: none} },
			want: "step 1 needs an image (busybox): no Docker engine: connection refused (use --executor host or name no image)"},
		"no host": {task: script("true"), change: func(b *Builder) { b.Host = nil },
			want: "step 1 names no image, and this builder runs nothing on its own machine: name an image, or start the builder with --executor host"},
		"no value":       {task: with(script("true"), plan.Parameter{Name: "x"}), want: "parameter x has no value"},
		"short secret":   {task: with(script("true"), plan.Parameter{Name: "pin", Secret: true, Value: given("1234")}), want: "secret pin is too short to be masked: it needs at least 8 bytes"},
		"zero byte":      {task: with(script("true"), plan.Parameter{Name: "x", Value: given("a\x00b")}), want: "parameter x has a zero byte in its value"},
		"steers":         {task: with(script("true"), plan.Parameter{Name: "LD_PRELOAD", Value: given("x.so")}), want: "parameter LD_PRELOAD: the variable LD_PRELOAD steers how programs run: choose another name"},
		"steers in kind": {task: with(script("true"), plan.Parameter{Name: "GIT.SSH", Value: given("x")}), want: "parameter GIT.SSH: the variable GIT_SSH steers how programs run: choose another name"},
		"ours":           {task: with(script("true"), plan.Parameter{Name: "VELOCITY_ATTEMPT", Value: given("x")}), want: "parameter VELOCITY_ATTEMPT: the variable VELOCITY_ATTEMPT belongs to Velocity: choose another name"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			host := &scripted{answer: func(context.Context, executor.Command) (executor.Result, error) {
				return executor.Result{}, errors.New("something ran")
			}}
			w.Host = host
			if c.change != nil {
				c.change(w.Builder)
			}
			r := w.build(t, c.task)
			if r.Verdict != dispatch.Failed || r.Reason != c.want {
				t.Errorf("ended %s, %q; want failed, %q", r.Verdict, r.Reason, c.want)
			}
			if r.Steps[0].State != build.Failed || len(host.commands()) > 0 {
				t.Errorf("setup is %s, %d commands ran", r.Steps[0].State, len(host.commands()))
			}
			w.checkClean(t)
		})
	}
}

func TestSteeringNames(t *testing.T) {
	for _, name := range []string{"PATH", "LD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES", "GIT_DIR", "BASH_ENV", "BASH_FUNC_ls", "ENV", "IFS", "PYTHONPATH", "PYTHONSTARTUP", "NODE_OPTIONS", "PERL5OPT", "RUBYOPT", "CI", "VELOCITY", "a b", "1a", ""} {
		if checkName(name) == nil {
			t.Errorf("checkName(%q) = nil", name)
		}
	}
	for _, name := range []string{"path", "env", "version", "GITHUB", "go.version", "a-b", "LDAP"} {
		if err := checkName(name); err != nil {
			t.Errorf("checkName(%q) = %v", name, err)
		}
	}
}

func TestCommandIsFinal(t *testing.T) {
	w := newBench(t)
	docker := &engine{scripted: scripted{answer: func(context.Context, executor.Command) (executor.Result, error) {
		return executor.Result{Image: "sha256:abc"}, nil
	}}}
	w.Docker = docker
	task := plan.Task{
		Parameters: []plan.Parameter{
			{Name: "v", Value: given("1.2")}, {Name: "token", Secret: true}, {Name: "other", Secret: true},
		},
		Steps: []plan.Step{{
			Type: plan.StepRun, Secrets: []string{"token"},
			Run: &plan.Run{
				Image: "img:${v}", Command: []plan.Text{"echo", "${v} $${v}", "${token}"}, WorkingDir: "./a/../b/${v}",
				Environment: []plan.Variable{{Name: "CI", Value: "no"}, {Name: "E", Value: "${git.branch}"}},
				User:        "1000", Network: "none", Pull: "never",
			},
		}},
	}
	r := w.build(t, task, func(a *dispatch.Assignment) {
		a.Values = map[string]string{"token": "t0ken-secret", "other": "other-secret", "build.number": "7", "stray": "x"}
	})
	if r.Verdict != dispatch.Succeeded || r.Steps[1].Image != "sha256:abc" {
		t.Fatalf("ended %s, %q, %+v", r.Verdict, r.Reason, r.Steps)
	}
	got := docker.commands()[0]
	want := executor.Command{
		Owner: executor.Owner{Builder: "b1", Build: "k3f9a2-7", Task: "s0t0", Attempt: 1},
		Argv:  []string{"echo", "1.2 ${v}", "t0ken-secret"},
		Env: []string{
			"VELOCITY_BUILD_NUMBER=7", "VELOCITY_GIT_BRANCH=main", "token=t0ken-secret", "v=1.2",
			"CI=true", "VELOCITY=true", "VELOCITY_TASK=test", "VELOCITY_BUILD_ID=k3f9a2-7", "CI=no", "E=main",
		},
		Workspace: filepath.Join(w.folders.root, "k3f9a2-7-s0t0.1"), Dir: "b/1.2",
		Image: "img:1.2", Pull: executor.PullNever, MountPoint: plan.DefaultMountPoint, User: "1000", Network: "none",
		Stdout: got.Stdout, Stderr: got.Stderr, Grace: w.Grace,
	}
	if diff := cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool {
		return slices.Contains([]string{"Stdout", "Stderr"}, p.Last().String()[1:])
	}, cmp.Ignore())); diff != "" {
		t.Errorf("command (-want +got):\n%s", diff)
	}
}

func TestTextsThatCannotBeExpanded(t *testing.T) {
	big := plan.Parameter{Name: "big", Value: given(strings.Repeat("x", 50<<10))}
	secret := plan.Parameter{Name: "token", Secret: true, Value: given("t0ken-secret")}
	for name, c := range map[string]struct {
		run  plan.Run
		want string
	}{
		"unknown":     {plan.Run{Command: []plan.Text{"${nope}"}}, "step 1: command: ${nope}: no parameter of this name has a value"},
		"withheld":    {plan.Run{Command: []plan.Text{"${token}"}}, "step 1: command: ${token} is a secret that the step does not list in its secrets"},
		"too long":    {plan.Run{Command: []plan.Text{"${big}${big}"}}, "step 1: command: a text of 102400 bytes after expansion; at most 65536 are allowed"},
		"zero byte":   {plan.Run{Command: []plan.Text{"a\x00b"}}, "step 1: command: a text with a zero byte, which no process can be given"},
		"zero script": {plan.Run{Script: "a\x00b"}, "step 1: script: a zero byte, which no shell can read"},
		"nothing":     {plan.Run{Command: []plan.Text{""}}, "step 1: command: there is no program to run"},
		"environment": {plan.Run{Command: []plan.Text{"true"}, Environment: []plan.Variable{{Name: "E", Value: "${nope}"}}}, "step 1: environment E: ${nope}: no parameter of this name has a value"},
		"up":          {plan.Run{Command: []plan.Text{"true"}, WorkingDir: "a/../.."}, `step 1: workingDir: "a/../.." leads out of the workspace`},
		"absolute":    {plan.Run{Command: []plan.Text{"true"}, WorkingDir: "/etc"}, `step 1: workingDir: "/etc" leads out of the workspace`},
		"link":        {plan.Run{Command: []plan.Text{"true"}, WorkingDir: "out/x"}, `step 1: workingDir: "out/x" leads out of the workspace through a symbolic link`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			outside := t.TempDir()
			if err := os.Mkdir(filepath.Join(outside, "x"), 0o700); err != nil {
				t.Fatal(err)
			}
			w.folders.fill = func(dir string) error { return os.Symlink(outside, filepath.Join(dir, "out")) }
			r := w.build(t, with(plan.Task{Steps: []plan.Step{{Type: plan.StepRun, Run: &c.run}}}, big, secret))
			if r.Verdict != dispatch.Failed || r.Reason != c.want {
				t.Errorf("ended %s, %q; want failed, %q", r.Verdict, r.Reason, c.want)
			}
		})
	}
}

// A script that is longer than one argument may be runs as any other.
func TestLongScript(t *testing.T) {
	w := newBench(t)
	filler := strings.Repeat("# ünïcode filler that the cut may fall into\n", 5000)
	r := w.build(t, script("echo first $#\n"+filler+"x='quotes \" $HOME'\n"+filler+`echo "$x"; false; echo never`))
	if r.Reason != "exit 1" {
		t.Errorf("ended %s, %q", r.Verdict, r.Reason)
	}
	if got := w.ear.text(); got != "first 0\nquotes \" $HOME\n" {
		t.Errorf("log %q", got)
	}
}

func TestHostForImages(t *testing.T) {
	w := newBench(t)
	w.HostForImages = true
	if r := w.build(t, image("busybox")); r.Verdict != dispatch.Succeeded {
		t.Errorf("ended %s, %q", r.Verdict, r.Reason)
	}
}

// canary is printed, quoted, derived and put wherever words come from.
const canary = "c4nary-\"s3cret\"/+value"

// A secret stays inside, whatever goes wrong around it.
func TestSecretsNeverLeave(t *testing.T) {
	token := plan.Parameter{Name: "token", Secret: true}
	listed := func(task plan.Task) plan.Task {
		for i := range task.Steps {
			task.Steps[i].Secrets = []string{"token"}
		}
		return with(task, token)
	}
	derived := func(body string) plan.Task {
		return with(script("true"), token, plan.Parameter{Derived: &plan.Derived{
			Use: "derive", Arguments: []plan.Variable{{Name: "t", Value: "${token}"}}, Exports: map[string]string{"body": body},
		}})
	}
	for name, c := range map[string]struct {
		task   plan.Task
		derive string
		err    error
	}{
		"printed":           {task: listed(script(`echo "$token"; printf %s "$token" | base64; printf '%s\n' "$token" >&2; exit 1`))},
		"printed in pieces": {task: listed(script(`for c in c4na 'ry-"s3' 'cret"/' '+value'; do printf %s "$c"; done`))},
		"program":           {task: listed(command("${token}"))},
		"folder":            {task: listed(plan.Task{Steps: []plan.Step{{Type: plan.StepRun, Run: &plan.Run{Command: []plan.Text{"true"}, WorkingDir: "../${token}"}}}})},
		"workspace error":   {task: listed(script("true")), err: errors.New("bad " + canary)},
		"derived error":     {task: derived(""), derive: `echo "{\"state\":\"failed\",\"error\":\"no ${1#-t=}\"}" | sed 's/"s3cret"/\\"s3cret\\"/'; echo "$1" >&2`},
		"derived not JSON":  {task: derived(""), derive: `echo "$1"; echo "$1" >&2; exit 3`},
		"derived value": {task: with(script(`echo "$out"; exit 1`), plan.Parameter{Derived: &plan.Derived{Use: "derive"}}),
			derive: `cat <<'END'
{"state":"success","secret":true,"exports":{"out":"c4nary-\"s3cret\"/+value"}}
END
echo 'c4nary-"s3cret"/+value' >&2`},
		"derived, known to be secret, not JSON": {task: with(script("true"), plan.Parameter{Secret: true, Derived: &plan.Derived{Use: "derive"}}),
			derive: `echo 'c4nary-"s3cret"/+value' | tee /dev/stderr`},
		"derived, perhaps secret, not JSON": {task: with(script("true"), plan.Parameter{Derived: &plan.Derived{Use: "derive"}}),
			derive: `echo '{"secret":true,"x":"c4nary-"s3cret"/+value"' | tee /dev/stderr`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBench(t)
			w.folders.err = c.err
			w.folders.fill = func(dir string) error {
				return os.WriteFile(filepath.Join(dir, "derive"), []byte("#!/bin/sh\n"+c.derive+"\n"), 0o700)
			}
			r := w.build(t, c.task, func(a *dispatch.Assignment) { maps.Copy(a.Values, map[string]string{"token": canary}) })
			w.checkLog(t, r)
			w.ear.mu.Lock()
			said := w.ear.said.String()
			w.ear.mu.Unlock()
			for _, place := range []string{said, w.log.String()} {
				for _, form := range []string{canary, "c4nary", "s3cret", "YzRuYXJ5"} {
					if strings.Contains(place, form) {
						t.Errorf("%q left the builder: %s", form, place)
					}
				}
			}
		})
	}
}
