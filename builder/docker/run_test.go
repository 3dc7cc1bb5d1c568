package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/docker/client"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/velocity-ci/velocity/builder/executor"
)

func TestExitStatus(t *testing.T) {
	e := newExecutor(t, Limits{})
	for script, want := range map[string]int{
		"true":             0,
		"exit 3":           3,
		"exit 127":         127, // not a command that was not found
		"kill -TERM $$":    143,
		"kill -KILL $$":    137,
		"nope 2>/dev/null": 127,
	} {
		got := mustRun(t, e, shell(t, script))
		if got.Exit != want {
			t.Errorf("%q: exit = %d, want %d", script, got.Exit, want)
		}
		if !strings.HasPrefix(got.Image, "sha256:") {
			t.Errorf("%q: image = %q, want sha256:…", script, got.Image)
		}
	}
}

func TestCommandNotFound(t *testing.T) {
	e := newExecutor(t, Limits{})
	for program, why := range map[string]string{
		"gmake":       "No such file or directory",
		"/etc/passwd": "Permission denied",
	} {
		cmd := shell(t, "")
		cmd.Argv = []string{program, "all"}
		_, err := e.Run(t.Context(), cmd)
		wantStartError(t, err, program, cmd.Image, why)
		if errors.Is(err, executor.ErrEngine) {
			t.Errorf("Run(%q): %v blames the engine", program, err)
		}
	}
}

// Ten megabytes on each stream at once arrive whole, up to a last line without
// its newline.
func TestOutputIsWhole(t *testing.T) {
	e := newExecutor(t, Limits{})
	const lines = 1_400_000
	got := mustRun(t, e, shell(t, fmt.Sprintf("seq 1 %d & seq 1 %d >&2; wait; printf end; printf END >&2", lines, lines)))
	var want bytes.Buffer
	for i := 1; i <= lines; i++ {
		fmt.Fprintln(&want, i)
	}
	if got.Stdout != want.String()+"end" {
		t.Errorf("stdout has %d bytes, want %d, or differs", len(got.Stdout), want.Len()+3)
	}
	if got.Stderr != want.String()+"END" {
		t.Errorf("stderr has %d bytes, want %d, or differs", len(got.Stderr), want.Len()+3)
	}
}

func TestWorkspace(t *testing.T) {
	e := newExecutor(t, Limits{})
	cmd := shell(t, "pwd; cat in; mkdir made; echo from inside > made/out; touch /velocity_ci/top; ! read x")
	if err := os.MkdirAll(filepath.Join(cmd.Workspace, "a: b/sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cmd.Workspace, "a: b/sub/in"), []byte("from outside\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd.Dir = "a: b/sub"
	got := mustRun(t, e, cmd)
	if want := "/velocity_ci/a: b/sub\nfrom outside\n"; got.Exit != 0 || got.Stdout != want {
		t.Errorf("exit %d, stdout %q, stderr %q, want exit 0, %q", got.Exit, got.Stdout, got.Stderr, want)
	}
	made, err := os.ReadFile(filepath.Join(cmd.Workspace, "a: b/sub/made/out"))
	if err != nil || string(made) != "from inside\n" {
		t.Errorf("file made inside = %q, %v", made, err)
	}
	if err := os.RemoveAll(cmd.Workspace); err != nil {
		t.Errorf("delete workspace: %v", err)
	}
}

func TestReadOnlyDirectory(t *testing.T) {
	e := newExecutor(t, Limits{})
	dir := t.TempDir()
	file := filepath.Join(dir, "pack")
	if err := os.WriteFile(file, []byte("objects"), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := shell(t, `cat "$0"; ! echo spoilt > "$0"; ! touch "$0.new"`)
	cmd.Argv = append(cmd.Argv, file)
	cmd.ReadOnly = []string{dir}
	got := mustRun(t, e, cmd)
	if got.Exit != 0 || got.Stdout != "objects" {
		t.Errorf("exit %d, stdout %q, stderr %q, want exit 0, %q", got.Exit, got.Stdout, got.Stderr, "objects")
	}
	after, err := os.ReadFile(file)
	if err != nil || string(after) != "objects" {
		t.Errorf("file afterwards = %q, %v", after, err)
	}
}

// Values reach the process byte by byte, whatever is in them.
func TestEnvironmentIsByteEqual(t *testing.T) {
	e := newExecutor(t, Limits{})
	value := rapid.StringOf(rapid.OneOf(
		rapid.RuneFrom([]rune("\n\r\t '\"\\$`=;&|\u202e\u00e9\U0001f680\u0001")), rapid.Rune(),
	).Filter(func(r rune) bool { return r != 0 }))
	cmd := shell(t, "cat /proc/self/environ")
	want := map[string]string{"EMPTY": "", "LINES": "a\n\nb\n", "UNICODE": "é 🚀"}
	for i := range 200 {
		want[fmt.Sprintf("V%d", i)] = value.Example(i)
	}
	for name, v := range want {
		cmd.Env = append(cmd.Env, name+"="+v)
	}
	got := map[string]string{}
	for entry := range strings.SplitSeq(mustRun(t, e, cmd).Stdout, "\x00") {
		if name, v, _ := strings.Cut(entry, "="); want[name] != "" || name == "EMPTY" || strings.HasPrefix(name, "V") {
			got[name] = v
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment inside (-want +got):\n%s", diff)
	}
}

func TestArgumentsAreByteEqual(t *testing.T) {
	e := newExecutor(t, Limits{})
	args := []string{"", "two words", "new\nline", "$HOME", "`id`", "--help", "é 🚀", `"'\`}
	cmd := shell(t, `for a; do printf '%s|' "$a"; done`)
	cmd.Argv = append(append(cmd.Argv, "sh"), args...)
	if got, want := mustRun(t, e, cmd).Stdout, strings.Join(args, "|")+"|"; got != want {
		t.Errorf("arguments inside = %q, want %q", got, want)
	}
}

func TestUser(t *testing.T) {
	const script = `echo "$(id -u):$(id -g) $HOME"`
	for name, c := range map[string]struct {
		builder int // uid
		user    string
		env     []string
		want    string
	}{
		"root builder keeps the image's":     {builder: 0, want: "0:0 /root\n"},
		"step's own":                         {builder: 0, user: "nobody", want: "65534:65534 /\n"},
		"other builder runs as itself":       {builder: 4321, want: "4321:4321 /tmp\n"},
		"other builder keeps the step's own": {builder: 4321, user: "0", want: "0:0 /root\n"},
		"step's home wins":                   {builder: 4321, env: []string{"HOME=/bin"}, want: "4321:4321 /bin\n"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newExecutor(t, Limits{})
			e.uid, e.gid = c.builder, c.builder
			cmd := shell(t, script)
			cmd.User, cmd.Env = c.user, c.env
			if got := mustRun(t, e, cmd).Stdout; got != c.want {
				t.Errorf("identity inside = %q, want %q", got, c.want)
			}
		})
	}
}

func TestUnknownUserAndNetwork(t *testing.T) {
	e := newExecutor(t, Limits{})
	cmd := shell(t, "true")
	cmd.User = "somebody-else"
	_, err := e.Run(t.Context(), cmd)
	wantStartError(t, err, "somebody-else")

	cmd = shell(t, "true")
	cmd.Network = "no-such-network"
	_, err = e.Run(t.Context(), cmd)
	wantStartError(t, err, "no-such-network")
}

func TestNetworkNone(t *testing.T) {
	e := newExecutor(t, Limits{})
	cmd := shell(t, "ls /sys/class/net")
	cmd.Network = "none"
	if got := mustRun(t, e, cmd).Stdout; strings.Contains(got, "eth0") || !strings.Contains(got, "lo") {
		t.Errorf("interfaces inside = %q, want lo without eth0", got)
	}
}

func TestCancel(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		grace  time.Duration
		exit   int
	}{
		"told":        {"echo ready; sleep 1000", time.Hour, 143},
		"cleans up":   {"trap 'exit 5' TERM; echo ready; sleep 1000 & wait", time.Hour, 5},
		"made to":     {"trap '' TERM; echo ready; sleep 1000", 50 * time.Millisecond, 137},
		"gracelessly": {"trap '' TERM; echo ready; sleep 1000", 0, 137},
	} {
		t.Run(name, func(t *testing.T) {
			e := newExecutor(t, Limits{})
			ctx, cancel := context.WithCancelCause(t.Context())
			cmd := shell(t, c.script)
			ready := newCue("ready\n")
			cmd.Stdout, cmd.Grace = ready, c.grace
			go once(ctx, func() { cancel(errTest) }, ready)
			result, err := e.Run(ctx, cmd)
			if !errors.Is(err, errTest) || errors.Is(err, executor.ErrEngine) {
				t.Errorf("error = %v, want the context's cause alone", err)
			}
			if result.Exit != c.exit {
				t.Errorf("exit = %d, want %d", result.Exit, c.exit)
			}
		})
	}
}

func TestCanceledBeforeItStarts(t *testing.T) {
	e := newExecutor(t, Limits{})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errTest)
	cmd := shell(t, "touch ran")
	if _, err := e.Run(ctx, cmd); !errors.Is(err, errTest) {
		t.Errorf("error = %v, want the context's cause", err)
	}
	if _, err := os.Stat(filepath.Join(cmd.Workspace, "ran")); err == nil {
		t.Error("the command ran")
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errTest }

// A log that cannot be written must not become a pass with a gap in its log.
func TestWriterFails(t *testing.T) {
	e := newExecutor(t, Limits{})
	cmd := shell(t, "echo hello; sleep 1000")
	cmd.Stdout, cmd.Grace = failingWriter{}, 0
	_, err := e.Run(t.Context(), cmd)
	if !errors.Is(err, executor.ErrEngine) || !errors.Is(err, errTest) {
		t.Errorf("error = %v, want ErrEngine and the writer's", err)
	}
}

// Who may not use an engine that is there is not told to start it.
func TestEngineOfOthers(t *testing.T) {
	denied := &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.EACCES)}
	wantStartError(t, noEngine(denied), "no Docker engine", "permission denied", "let this user use it", "--executor host")
}

func TestNoEngine(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "none.sock")
	e, err := New(Config{Engine: []client.Opt{client.WithHost("unix://" + socket)}, Builder: "b"})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	cmd := executor.Command{Argv: []string{"true"}, Image: "busybox", Workspace: t.TempDir(), MountPoint: "/w"}
	_, runErr := e.Run(t.Context(), cmd)
	for _, err := range []error{e.Available(t.Context()), runErr} {
		wantStartError(t, err, "no Docker engine", socket, "--executor host")
		if !errors.Is(err, executor.ErrEngine) {
			t.Errorf("error = %v, want it to be ErrEngine, too", err)
		}
	}
}
