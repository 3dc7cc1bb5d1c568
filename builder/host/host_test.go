package host

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/velocity-ci/velocity/builder/executor"
	"github.com/velocity-ci/velocity/builder/require"
)

// a long time for a test: whoever waits so long hangs.
const long = time.Minute

func script(t *testing.T, text string) executor.Command {
	t.Helper()
	return executor.Command{
		Owner:     executor.Owner{Builder: t.TempDir(), Build: "k3f9a2-1", Task: "s0t0", Attempt: 1},
		Argv:      []string{"sh", "-c", text},
		Workspace: filepath.Join(t.TempDir(), "workspace"),
		Stdout:    io.Discard,
		Stderr:    io.Discard,
		Grace:     long,
	}
}

func run(t *testing.T, ctx context.Context, e *Executor, c executor.Command) (executor.Result, error) {
	t.Helper()
	if err := os.MkdirAll(c.Workspace, 0o755); err != nil {
		t.Fatal(err)
	}
	return e.Run(ctx, c)
}

// printed runs a script that must succeed and returns what it printed.
func printed(t *testing.T, e *Executor, c executor.Command) string {
	t.Helper()
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if r, err := run(t, t.Context(), e, c); err != nil || r.Exit != 0 {
		t.Fatalf("Run(%q) = %+v, %v; stderr %q", c.Argv, r, err, errs.String())
	}
	return out.String()
}

func TestRunTellsExitStatusAndOutput(t *testing.T) {
	tests := []struct {
		script, out, err string
		exit             int
	}{
		{"echo out; echo err >&2", "out\n", "err\n", 0},
		{"printf 'no newline'; exit 7", "no newline", "", 7},
		{"kill -9 $$", "", "", 137},
		{"kill -TERM $$", "", "", 143},
		{"cat; echo end", "end\n", "", 0}, // stdin is empty
		{"head -c 3000000 /dev/zero | tr '\\0' x", strings.Repeat("x", 3000000), "", 0},
	}
	for _, tt := range tests {
		c := script(t, tt.script)
		var out, errs bytes.Buffer
		c.Stdout, c.Stderr = &out, &errs
		r, err := run(t, t.Context(), new(Executor), c)
		if err != nil || r.Exit != tt.exit {
			t.Errorf("Run(%q) = %+v, %v, want exit %d", tt.script, r, err, tt.exit)
		}
		if out.String() != tt.out || errs.String() != tt.err {
			t.Errorf("Run(%q) printed %.80q and %.80q, want %.80q and %.80q", tt.script, out.String(), errs.String(), tt.out, tt.err)
		}
	}
}

func TestEnvironmentIsGiven(t *testing.T) {
	t.Setenv("BUILDERS_OWN", "leaked")
	e := &Executor{Base: []string{"TZ=UTC", "A=base", "B=base"}}
	c := script(t, "env")
	c.Env = []string{"B=step", "C=a $HOME\nb"}
	got := make(map[string]string)
	for variable := range strings.SplitSeq(strings.ReplaceAll(printed(t, e, c), "\nb\n", "|b\n"), "\n") {
		if name, value, ok := strings.Cut(variable, "="); ok && !slices.Contains([]string{"PWD", "OLDPWD", "SHLVL", "_"}, name) {
			got[name] = value
		}
	}
	mark := got[markName]
	delete(got, markName)
	scratch := Scratch(c.Workspace)
	want := map[string]string{
		"PATH": defaultPath, "LANG": "C.UTF-8", "TZ": "UTC", "CI": "true", "VELOCITY": "1",
		"A": "base", "B": "step", "C": "a $HOME|b", "HOME": scratch + "/home", "TMPDIR": scratch + "/tmp",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if owner, _, _ := strings.Cut(mark, "@"); owner != c.Owner.String() {
		t.Errorf("%s = %q, want one of %s", markName, mark, c.Owner)
	}
}

func TestHomeIsUsable(t *testing.T) {
	c := script(t, `echo kept >"$HOME/.rc"; cat "$HOME/.rc"; mktemp`)
	if out := printed(t, new(Executor), c); !strings.HasPrefix(out, "kept\n"+Scratch(c.Workspace)+"/tmp/") {
		t.Errorf("printed %q", out)
	}
	home := t.TempDir()
	own := &Executor{Base: []string{"HOME=" + home}}
	c = script(t, `echo "$HOME ${TMPDIR-none}"`)
	if got, want := printed(t, own, c), home+" none\n"; got != want {
		t.Errorf("with a HOME of the developer: printed %q, want %q", got, want)
	}
	if _, err := os.Stat(Scratch(c.Workspace)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Stat(Scratch) = %v, want it not to be made", err)
	}
}

func TestMarksOfNestedBuildsAddUp(t *testing.T) {
	e := &Executor{Base: []string{markName + "=outer/b/t/1@1.1#1"}}
	c := script(t, "echo $"+markName)
	if got, want := printed(t, e, c), "outer/b/t/1@1.1#1 "+c.Owner.String()+"@"; !strings.HasPrefix(got, want) {
		t.Errorf("%s = %q, want it to begin with %q", markName, got, want)
	}
}

func TestProgramsAreFoundAsAShellWould(t *testing.T) {
	c := script(t, "")
	sub := filepath.Join(c.Workspace, "sub")
	for _, dir := range []string{c.Workspace, sub, filepath.Join(sub, "bin")} {
		write(t, filepath.Join(dir, "tool"), "#!/bin/sh\necho $0\n", 0o755)
	}
	c.Dir = "sub"
	for _, tt := range []struct{ name, path, want string }{
		{"./tool", "/usr/bin:/bin", "/tool"},
		{"tool", "bin:/usr/bin:/bin", "/bin/tool"},
	} {
		c.Argv, c.Env = []string{tt.name}, []string{"PATH=" + tt.path}
		if got, want := printed(t, new(Executor), c), sub+tt.want+"\n"; got != want {
			t.Errorf("%s with PATH=%s in sub ran %q, want %q", tt.name, tt.path, got, want)
		}
	}
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func TestStartErrors(t *testing.T) {
	c := script(t, "")
	for name, text := range map[string]string{
		"plain": "echo\n", "noshebang": "echo\n", "noloader": "\x7fELF", "lost": "#!/no/such/interpreter -x\n", "windows": "#!/bin/sh\r\necho\r\n",
	} {
		mode := os.FileMode(0o755)
		if name == "plain" {
			mode = 0o644
		}
		write(t, filepath.Join(c.Workspace, name), text, mode)
	}
	tests := []struct {
		argv []string
		dir  string
		env  string
		want string
		hint string // a part of it
	}{
		{argv: []string{"gmake-9"}, want: `command "gmake-9" not found in PATH`, hint: "install it"},
		{argv: []string{""}, want: `command "" not found in PATH`, hint: "install it"},
		{argv: []string{"./absent"}, want: `command "./absent" not found`, hint: "working directory"},
		{argv: []string{"./plain"}, want: `command "./plain" is not executable`, hint: "chmod=+x"},
		{argv: []string{"plain"}, env: "PATH=.", want: `command "plain" is not executable`, hint: "chmod=+x"},
		{argv: []string{"/"}, want: `command "/" is a directory`, hint: "program"},
		{argv: []string{"./noshebang"}, want: `command "./noshebang" is no program for this machine`, hint: "#!/bin/sh"},
		{argv: []string{"./lost"}, want: `interpreter "/no/such/interpreter" of command "./lost" not found`, hint: "install it"},
		{argv: []string{"./windows"}, want: `interpreter "/bin/sh" of command "./windows" not found`, hint: "Windows"},
		{argv: []string{"true", strings.Repeat("x", 4<<20)}, want: `arguments and environment of "true" are too long`, hint: "file"},
		{want: "the step names no command", hint: "script"},
		{argv: []string{"echo", "a\x00b"}, want: "an argument or variable holds a NUL byte", hint: "file"},
		{argv: []string{"true"}, env: "A=a\x00b", want: "an argument or variable holds a NUL byte", hint: "file"},
		{argv: []string{"true"}, dir: "gone", want: `working directory "gone" is not there`, hint: "earlier step"},
		{argv: []string{"true"}, dir: "plain", want: `working directory "plain" is not there`, hint: "earlier step"},
		{argv: []string{"true"}, dir: "../..", want: `working directory "../.." is outside the workspace`, hint: "relative"},
	}
	for _, tt := range tests {
		c.Argv, c.Dir, c.Env = tt.argv, tt.dir, nil
		if tt.env != "" {
			c.Env = []string{tt.env}
		}
		_, err := run(t, t.Context(), new(Executor), c)
		var start *executor.StartError
		if !errors.As(err, &start) || errors.Is(err, executor.ErrEngine) {
			t.Errorf("Run(%.20q) = %v, want a StartError", tt.argv, err)
			continue
		}
		if start.What != tt.want || !strings.Contains(start.Hint, tt.hint) {
			t.Errorf("Run(%.20q) = %v, want %s and a hint with %q", tt.argv, err, tt.want, tt.hint)
		}
	}
}

func TestBrokenWriterDoesNotDisturbTheStep(t *testing.T) {
	full := errors.New("disk full")
	c := script(t, "head -c 1000000 /dev/zero && echo written >done")
	c.Stdout = failing{full}
	r, err := run(t, t.Context(), new(Executor), c)
	if !errors.Is(err, executor.ErrEngine) || !errors.Is(err, full) || r.Exit != 0 {
		t.Errorf("Run = %+v, %v, want exit 0 and that the executor broke: disk full", r, err)
	}
	if _, err := os.Stat(filepath.Join(c.Workspace, "done")); err != nil {
		t.Errorf("the step did not come to its end: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// A process out of reach that holds the output open must not hold up the step.
func TestOutputHeldOpenFromOutside(t *testing.T) {
	var c executor.Command
	var held *os.File
	c, lines := talking(t, `echo $$; while [ ! -e go ]; do :; done`)
	go func() {
		pid := <-lines
		held, _ = os.OpenFile("/proc/"+pid+"/fd/1", os.O_WRONLY, 0)
		_ = os.WriteFile(filepath.Join(c.Workspace, "go"), nil, 0o644)
	}()
	if r, err := run(t, t.Context(), new(Executor), c); err != nil || r.Exit != 0 {
		t.Errorf("Run = %+v, %v", r, err)
	}
	if held == nil {
		require.Have(t, "linux", errors.New("there is no /proc/<pid>/fd"))
	}
	if _, err := held.WriteString("too late"); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("writing after the step = %v, want %v", err, syscall.EPIPE)
	}
	_ = held.Close()
}

// talking returns a script and the lines it will print.
func talking(t *testing.T, text string) (executor.Command, <-chan string) {
	t.Helper()
	r, w := io.Pipe()
	lines := make(chan string, 100)
	go func() {
		for s := bufio.NewScanner(r); s.Scan(); {
			lines <- s.Text()
		}
		close(lines)
	}()
	t.Cleanup(func() { _ = w.Close() })
	c := script(t, text)
	c.Stdout = w
	return c, lines
}
