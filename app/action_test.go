package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/app/workflow/runnertest"
)

// A jobStep is a step of a workflow job that runs velocity action, in a checkout as
// actions/checkout leaves one and with what GitHub documents as its environment.
type jobStep struct {
	t         *testing.T
	folder    string // with all that the runner has for the job
	workspace string
	env       map[string]string
}

// A stepResult is what the step leaves to the runner.
type stepResult struct {
	status  int
	raw     string // stdout
	stderr  string
	log     *runnertest.Log
	outputs map[string]string
	summary string
}

// newStep checks out a repository with these files, HEAD detached.
func newStep(t *testing.T, files map[string]string) *jobStep {
	t.Helper()
	s := &jobStep{t: t, folder: t.TempDir()}
	s.workspace = filepath.Join(s.folder, "work")
	for _, dir := range []string{"work", "temp", "commands", "home"} {
		if err := os.Mkdir(filepath.Join(s.folder, dir), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	s.git("init", "-q", "-b", "main")
	s.write(files)
	s.commit("one")
	s.git("checkout", "-q", "--detach")
	s.env = map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": s.path("home"), "GORACE": "atexit_sleep_ms=0", "CI": "true",
		"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": s.workspace, "GITHUB_ACTOR": "octocat", "GITHUB_REPOSITORY": "octo/world",
		"GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main", "GITHUB_SHA": s.git("rev-parse", "HEAD"),
		"GITHUB_HEAD_REF": "", "GITHUB_BASE_REF": "", "GITHUB_EVENT_PATH": s.path("event.json"), "GITHUB_TOKEN": "ghs_tokenOfTheJob1234",
		"GITHUB_OUTPUT": s.path("commands/output"), "GITHUB_STEP_SUMMARY": s.path("commands/summary"), "GITHUB_ENV": s.path("commands/env"),
		"ACTIONS_RUNTIME_TOKEN": "runtime-token-1234", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "id-token-1234",
		"RUNNER_OS": "Linux", "RUNNER_TEMP": s.path("temp"),
		// The defaults of action.yml, as a runner hands them over.
		"INPUT_NAME": "default", "INPUT_PARAMETERS": "", "INPUT_EXECUTOR": "", "INPUT_RECORD": "false", "INPUT_PUBLISH": "notes",
	}
	s.event(map[string]any{})
	return s
}

func (s *jobStep) path(name string) string { return filepath.Join(s.folder, name) }

func (s *jobStep) write(files map[string]string) {
	s.t.Helper()
	for name, text := range files {
		path := filepath.Join(s.workspace, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text), 0o666)); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *jobStep) event(e map[string]any) {
	s.t.Helper()
	text, err := json.Marshal(e)
	if err == nil {
		err = os.WriteFile(s.path("event.json"), text, 0o666)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// git runs git in the checkout.
func (s *jobStep) git(args ...string) string { return gitAt(s.t, s.workspace, args...) }

func gitAt(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "safe.directory=*", "-c", "protocol.file.allow=always"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (s *jobStep) commit(message string) string {
	s.git("add", "--all")
	s.git("commit", "-q", "--allow-empty", "-m", message)
	return s.git("rev-parse", "HEAD")
}

// command is the step's process, which sees nothing but its environment and more.
func (s *jobStep) command(more map[string]string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	cmd = exec.Command("velocity", "action")
	env := maps.Clone(s.env)
	maps.Copy(env, more)
	for _, name := range slices.Sorted(maps.Keys(env)) {
		cmd.Env = append(cmd.Env, name+"="+env[name])
	}
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.workspace, stdout, stderr
	return cmd, stdout, stderr
}

// run runs the step. Whatever happens, it speaks on one stream only, and leaves the
// runner's reading as it was.
func (s *jobStep) run(more map[string]string) stepResult {
	s.t.Helper()
	s.fresh()
	cmd, stdout, stderr := s.command(more)
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return s.result(cmd, stdout, stderr)
}

// fresh gives the step new files to speak by, as for every step.
func (s *jobStep) fresh() {
	s.t.Helper()
	for _, name := range []string{"output", "summary", "env"} {
		if err := os.WriteFile(s.path("commands/"+name), nil, 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *jobStep) result(cmd *exec.Cmd, stdout, stderr *bytes.Buffer) stepResult {
	s.t.Helper()
	r := stepResult{status: cmd.ProcessState.ExitCode(), raw: stdout.String(), stderr: stderr.String(), log: runnertest.Read(stdout.String())}
	outputs, err := os.ReadFile(s.path("commands/output"))
	if err == nil {
		r.outputs, err = runnertest.Outputs(string(outputs))
	}
	if err != nil {
		s.t.Fatal(err)
	}
	summary, err := os.ReadFile(s.path("commands/summary"))
	if err != nil {
		s.t.Fatal(err)
	}
	r.summary = string(summary)
	if r.stderr != "" || r.log.Stopped || r.log.Open != "" || len(r.log.Painted) > 0 {
		s.t.Errorf("stderr %q, stopped %v, open %q, painted %q", r.stderr, r.log.Stopped, r.log.Open, r.log.Painted)
	}
	return r
}

// check compares how the step ended.
func (r stepResult) check(t *testing.T, status int, outputs map[string]string) {
	t.Helper()
	if r.status != status || !maps.Equal(r.outputs, outputs) {
		t.Fatalf("status %d, outputs %v; want %d, %v\n%s", r.status, r.outputs, status, outputs, r.raw)
	}
}

// has looks for words in a text.
func has(t *testing.T, what, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%s has no %q:\n%s", what, word, text)
		}
	}
}

// hasNot looks for what must not be there.
func hasNot(t *testing.T, what, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if strings.Contains(text, word) {
			t.Errorf("%s has %q:\n%s", what, word, text)
		}
	}
}

// one is a blueprint with one step.
func one(script string) map[string]string {
	return map[string]string{".velocityci/blueprints/default.yml": "steps:\n  - type: run\n    script: |\n      " + strings.ReplaceAll(script, "\n", "\n      ") + "\n"}
}

var (
	succeeded = map[string]string{"outcome": "succeeded", "build": ""}
	failed    = map[string]string{"outcome": "failed", "build": ""}
)
