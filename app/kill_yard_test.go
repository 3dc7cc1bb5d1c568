package app_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// A yard is a bare repository with Velocity's hook, and whatever works on it.
type yard struct {
	t    *testing.T
	root string // all files of the test
	bare string

	untold sync.Map     // ids of pushes whose hook was killed
	births sync.RWMutex // held while a process of a pusher starts, and alone while all stand still
}

// A push makes two builds, one of them with two stages.
const (
	yardDefault = `stages:
- {name: one, blueprints: [quick, slow]}
- {name: two, blueprints: [after]}
`
	yardOther = `on: {push: {branches: ["**"]}}
stages: [{name: one, blueprints: [quick]}]
`
)

// yardPipelines are the names of both.
var yardPipelines = []string{"default", "other"}

// Every attempt leaves a line with its build, task and number outside of the
// repository. The slow one also leaves a process, for the builder to end.
const (
	yardQuick = `steps: [{type: run, script: 'echo "${VELOCITY_ATTEMPT%@*}" >>"$YARD_TRACE"'}]
`
	yardSlow = `steps: [{type: run, script: 'echo "${VELOCITY_ATTEMPT%@*}" >>"$YARD_TRACE"; sleep 600 & sleep 0.05'}]
`
)

func newYard(t *testing.T) *yard {
	t.Helper()
	root := t.TempDir()
	y := &yard{t: t, root: root, bare: filepath.Join(root, "repo.git")}
	t.Cleanup(func() { // whatever a failure has left
		for _, s := range y.processes() {
			_ = s.handle.Kill()
		}
	})
	y.write(".home/.gitconfig", gitConfig)
	y.write("seed/.velocityci/pipelines/default.yml", yardDefault)
	y.write("seed/.velocityci/pipelines/other.yml", yardOther)
	y.write("seed/.velocityci/blueprints/quick.yml", yardQuick)
	y.write("seed/.velocityci/blueprints/slow.yml", yardSlow)
	y.write("seed/.velocityci/blueprints/after.yml", yardQuick)
	y.must(root, "git", "init", "-q", "--bare", "repo.git")
	seed := filepath.Join(root, "seed")
	y.must(seed, "git", "init", "-q")
	y.must(seed, "git", "add", ".")
	y.must(seed, "git", "commit", "-qm", "seed")
	y.must(seed, "git", "push", "-q", y.bare, "main")
	y.must(root, "velocity", "hook", "install", "--executor", "host", y.bare)
	y.must(root, "velocity", "serve", "--repo", y.bare, "--once") // the first scan builds only HEAD
	return y
}

func (y *yard) write(name, text string) {
	y.t.Helper()
	path := filepath.Join(y.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		y.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		y.t.Fatal(err)
	}
}

// environment is that of all processes of the test, who can be known by it.
func (y *yard) environment() []string {
	return []string{
		"YARD_TRACE=" + filepath.Join(y.root, "trace"),
		"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(y.root, ".home"), "TMPDIR=" + y.root,
		"GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C", "GORACE=atexit_sleep_ms=0",
	}
}

func (y *yard) command(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, y.environment()
	return cmd
}

// output runs a command of somebody who works beside others, and returns all that
// it prints.
func (y *yard) output(cmd *exec.Cmd) ([]byte, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	y.births.RLock()
	err := cmd.Start()
	y.births.RUnlock()
	if err != nil {
		return nil, err
	}
	err = cmd.Wait()
	return out.Bytes(), err
}

// must runs a command and returns what it prints.
func (y *yard) must(dir, name string, args ...string) string {
	y.t.Helper()
	out, err := y.command(dir, name, args...).CombinedOutput()
	if err != nil {
		y.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// A serverProcess is one life of a server.
type serverProcess struct {
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // once it has ended
}

func (y *yard) logPath() string { return filepath.Join(y.root, "serve.log") }

// serverLog is the end of what the servers said.
func (y *yard) serverLog() string {
	text, err := os.ReadFile(y.logPath())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

// serve starts the program as a server.
func (y *yard) serve(args ...string) *serverProcess {
	y.t.Helper()
	log, err := os.OpenFile(y.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		y.t.Fatal(err)
	}
	defer log.Close()
	s := &serverProcess{cmd: y.command(y.root, "velocity", args...), ended: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		y.t.Fatal(err)
	}
	fmt.Fprintf(log, "--- %d %v\n", s.cmd.Process.Pid, args)
	go func() { s.err = s.cmd.Wait(); close(s.ended) }()
	y.t.Cleanup(s.kill)
	return s
}

// kill ends the server without a word, and waits until it is gone.
func (s *serverProcess) kill() {
	_ = s.cmd.Process.Signal(syscall.SIGKILL) // it may have ended
	<-s.ended
}
