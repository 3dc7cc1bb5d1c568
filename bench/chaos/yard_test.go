//go:build linux

package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/velocity-ci/velocity/builder/require"
)

// A yard is one architect with a served repository, its builders on the other
// ends of their lines, and everything that they leave behind.
type yard struct {
	t         *testing.T
	root      string
	program   string // velocity
	bare      string
	trace     string // every attempt notes here that it begins and ends
	architect *machine
	builders  []*machine
	disk      *disk // of the last builder's spool; nil without the right to mount
	findings  findings
}

// What the pipeline's tasks print. Each line names its attempt, so that a line
// of another attempt shows, and one that is missing, too.
var printed = map[string]int{"quick": 20, "slow": 40, "noisy": 3000, "after": 10}

const pipeline = `stages:
- {name: one, blueprints: [quick, slow, noisy]}
- {name: two, blueprints: [after]}
`

// script is a step that notes its beginning and its end, prints its lines, and
// waits in the middle for as long as the commit says. It leaves a process behind,
// for the builder to end.
func script(trace string, lines int, wait string) string {
	return fmt.Sprintf(`steps:
- type: run
  script: |
    me=${VELOCITY_ATTEMPT%%%%@*}
    echo "$me start" >>'%s'
    say() { while [ $i -lt $1 ]; do echo "line $i of $me"; i=$((i+1)); done; }
    i=0
    say %d
    sleep 600 &
    sleep %s
    say %d
    echo "$me end" >>'%s'
`, trace, lines/2, wait, lines, trace)
}

const gitConfig = `[user]
	name = Ada
	email = ada@example.com
[init]
	defaultBranch = main
[gc]
	auto = 0
`

// newYard builds the program, starts an architect and registers and starts
// builders.
func newYard(t *testing.T, builders int) *yard {
	t.Helper()
	root := t.TempDir()
	y := &yard{
		t: t, root: root, program: filepath.Join(root, "bin", "velocity"),
		bare: filepath.Join(root, "repo.git"), trace: filepath.Join(root, "trace"),
	}
	build := exec.Command("go", "build", "-o", y.program, "github.com/velocity-ci/velocity")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	t.Cleanup(func() { // whatever a failure has left
		for _, s := range y.processes() {
			_ = s.handle.Kill()
		}
	})
	y.repository()
	y.startArchitect()
	for i := range builders {
		y.register(fmt.Sprintf("b%d", i+1))
	}
	y.mountSpool(y.builders[builders-1])
	for _, b := range y.builders {
		b.start()
	}
	return y
}

func (y *yard) repository() {
	y.t.Helper()
	y.write(".home/.gitconfig", gitConfig)
	y.write("seed/.velocityci/pipelines/default.yml", pipeline)
	for name, lines := range printed {
		wait := "0"
		if name == "slow" {
			wait = `"$(cat wait)"`
		}
		y.write("seed/.velocityci/blueprints/"+name+".yml", script(y.trace, lines, wait))
	}
	y.write("seed/wait", "0\n")
	y.must(y.root, "git", "init", "-q", "--bare", y.bare)
	seed := filepath.Join(y.root, "seed")
	y.must(seed, "git", "init", "-q")
	y.must(seed, "git", "add", ".")
	y.must(seed, "git", "commit", "-qm", "seed")
	y.must(seed, "git", "push", "-q", y.bare, "main")
}

var listens = regexp.MustCompile(`msg=listening address=(\S+)`)

// startArchitect starts the server. It has an address of its own, so that no
// connection that is made while it is down can take its port, and keeps it.
func (y *yard) startArchitect() {
	y.t.Helper()
	y.write("velocity-server.yml", "state: state\nattempts: 20\nbuilder: {embedded: false}\nrepositories: [repo.git]\n")
	args := []string{"serve", "--config", filepath.Join(y.root, "velocity-server.yml"), "--listen"}
	y.architect = y.newMachine("architect", append(args, "127.0.0.2:0")...)
	y.architect.ready = listens
	address := y.architect.start()
	y.architect.args = append(args, address)
	y.architect.address = address
}

func (y *yard) register(name string) {
	y.t.Helper()
	wire := newLine(y.t, y.architect.address)
	state := filepath.Join(y.root, name)
	token := y.must(y.root, y.program, "builder", "token", "--state", filepath.Join(y.root, "state"))
	y.must(y.root, y.program, "builder", "register", "http://"+wire.address(), "--name", name, "--state", state, "--token", token)
	b := y.newMachine(name, "builder", "run", "--state", state, "--executor", "host", "--capacity", "3", "--disk-floor", "1MiB")
	b.line, b.state = wire, state
	y.builders = append(y.builders, b)
}

// machines are all that run, the builders first.
func (y *yard) machines() []*machine { return append(slices.Clone(y.builders), y.architect) }

// A disk is a small file system.
type disk struct{ path string }

// mountSpool puts a builder's spool on a disk that can be filled.
func (y *yard) mountSpool(b *machine) {
	y.t.Helper()
	path := filepath.Join(b.state, "spool")
	if err := os.MkdirAll(path, 0o700); err != nil {
		y.t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", path, "tmpfs", 0, "size=16m"); err != nil {
		if require.Demanded("root") {
			y.t.Fatalf("mount a small disk: %v", err)
		}
		y.t.Logf("no disk gets full in this run: mount: %v", err)
		return
	}
	y.t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) }) // or TempDir complains
	y.disk = &disk{path: path}
}

// fill leaves no room.
func (d *disk) fill() error {
	file, err := os.Create(filepath.Join(d.path, "filler"))
	if err != nil {
		return err
	}
	defer file.Close()
	for piece := make([]byte, 64<<10); err == nil; {
		_, err = file.Write(piece)
	}
	return nil // it is full
}

func (d *disk) empty() error { return os.Remove(filepath.Join(d.path, "filler")) }

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

// command makes a command of the yard: its processes are known by the folder in
// their environment.
func (y *yard) command(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(y.root, ".home"), "TMPDIR=" + y.root,
		"GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C",
	}
	return cmd
}

// must runs a command and returns what it prints.
func (y *yard) must(dir, name string, args ...string) string {
	y.t.Helper()
	out, err := y.command(dir, name, args...).Output()
	if err != nil {
		var said []byte
		if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // Output wraps nothing
			said = exit.Stderr
		}
		y.t.Fatalf("%s %v: %v\n%s", name, args, err, said)
	}
	return strings.TrimSpace(string(out))
}

// eventually waits for something that gives no sign when it happens, and tells
// whether it did.
func eventually(within time.Duration, happened func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(within)
	for !happened() {
		select {
		case <-tick.C:
		case <-late:
			return happened()
		}
	}
	return true
}

func lines(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return c == '\n' })
}
