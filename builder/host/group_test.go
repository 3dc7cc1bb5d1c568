package host

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/builder/executor"
	"github.com/velocity-ci/velocity/builder/require"
	"github.com/velocity-ci/velocity/storage/git/session"
)

var errStopped = errors.New("stopped by a person")

// runAndCancel cancels the script once it has printed n lines, which it returns.
func runAndCancel(t *testing.T, text string, n int, grace time.Duration) (executor.Result, []string) {
	t.Helper()
	c, lines := talking(t, text)
	c.Grace = grace
	ctx, cancel := context.WithCancelCause(t.Context())
	var seen []string
	var wg sync.WaitGroup
	wg.Go(func() {
		for range n {
			seen = append(seen, <-lines)
		}
		cancel(errStopped)
	})
	r, err := run(t, ctx, new(Executor), c)
	_ = c.Stdout.(io.Closer).Close()
	if !errors.Is(err, errStopped) || errors.Is(err, executor.ErrEngine) {
		t.Errorf("Run(%q) = %v, want %v", text, err, errStopped)
	}
	wg.Wait()
	return r, seen
}

// gone fails the test if the process is there, dead but not waited for included.
func gone(t *testing.T, pid string) {
	t.Helper()
	n, err := strconv.Atoi(pid)
	if err != nil || n < 2 {
		t.Fatalf("process id %q", pid)
	}
	if err := syscall.Kill(n, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is left (kill says %v)", n, err)
		_ = syscall.Kill(n, syscall.SIGKILL)
	}
}

func TestCancelAsksFirst(t *testing.T) {
	r, _ := runAndCancel(t, `trap 'exit 3' TERM; echo ready; while :; do :; done`, 1, long)
	if r.Exit != 3 {
		t.Errorf("exit %d, want 3 from the trap", r.Exit)
	}
}

func TestCancelKillsWhatDoesNotListen(t *testing.T) {
	r, seen := runAndCancel(t, `trap '' TERM; (echo $(exec sh -c 'echo $PPID'); while :; do :; done) & echo $!; wait; while :; do :; done`, 2, 10*time.Millisecond)
	if r.Exit != 137 {
		t.Errorf("exit %d, want 137", r.Exit)
	}
	for _, pid := range seen {
		gone(t, pid)
	}
}

func TestCanceledBeforeItBegan(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStopped)
	c := script(t, "echo ran")
	c.Stdout = failing{errors.New("it ran")}
	if _, err := run(t, ctx, new(Executor), c); !errors.Is(err, errStopped) || errors.Is(err, executor.ErrEngine) {
		t.Errorf("Run = %v, want only %v", err, errStopped)
	}
}

// needsSetsid ends the test where a step cannot leave its session, or where that
// hides it from us.
func needsSetsid(t *testing.T) {
	t.Helper()
	_, err := exec.LookPath("setsid")
	if runtime.GOOS != "linux" {
		err = errors.New("this is " + runtime.GOOS)
	}
	require.Have(t, "linux", err)
}

// Whatever a step leaves behind ends with it, and its Run does not hang on it.
func TestNothingSurvives(t *testing.T) {
	needsSetsid(t)
	const sleeper = `sh -c 'echo $$; exec sleep 1000'`
	leftovers := map[string]string{
		"child":               sleeper + ` &`,
		"deaf child":          `sh -c 'trap "" TERM; echo $$; while :; do sleep 0.01; done' &`,
		"orphan":              `(` + sleeper + ` &)`,
		"own session":         `setsid ` + sleeper + ` &`,
		"double fork":         `(setsid sh -c '(setsid ` + `sh -c "echo \$\$; exec sleep 1000"` + ` &)' &)`,
		"without environment": `(env -i setsid ` + sleeper + ` &)`,
		"job control":         `set -m; ` + sleeper + ` &`,
	}
	for name, text := range leftovers {
		t.Run(name, func(t *testing.T) {
			// The script goes on once the leftover has said who it is.
			r, lines := runToEnd(t, `mkfifo f; exec 9<>f; { `+text+` } >&9; read pid <&9; echo $pid; exit 4`)
			if r.Exit != 4 || len(lines) != 1 {
				t.Fatalf("exit %d, printed %q", r.Exit, lines)
			}
			gone(t, lines[0])
		})
		t.Run(name+", canceled", func(t *testing.T) {
			_, lines := runAndCancel(t, text+"\n"+`while :; do sleep 1; done`, 1, 50*time.Millisecond)
			gone(t, lines[0])
		})
	}
}

func runToEnd(t *testing.T, text string) (executor.Result, []string) {
	t.Helper()
	c, lines := talking(t, text)
	c.Grace = 50 * time.Millisecond
	r, err := run(t, t.Context(), new(Executor), c)
	if err != nil {
		t.Fatalf("Run(%q) = %v", text, err)
	}
	_ = c.Stdout.(io.Closer).Close()
	var seen []string
	for l := range lines {
		seen = append(seen, l)
	}
	return r, seen
}

// One step's end must not touch another's processes, daemons included.
func TestStepsDoNotEndEachOther(t *testing.T) {
	needsSetsid(t)
	first, lines := talking(t, `(setsid sh -c 'echo $$; exec sleep 1000' &); (env -i setsid sh -c 'echo $$; exec sleep 1000' &); while [ ! -e go ]; do sleep 0.01; done`)
	first.Grace = 50 * time.Millisecond
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := run(t, t.Context(), new(Executor), first); err != nil {
			t.Errorf("first step: %v", err)
		}
	})
	daemons := []string{<-lines, <-lines}
	_, own := runToEnd(t, `mkfifo f; exec 9<>f; (setsid sh -c 'echo $$; exec sleep 1000' >&9 &); read pid <&9; echo $pid`)
	gone(t, own[0])
	for _, pid := range daemons {
		if n, err := strconv.Atoi(pid); err != nil || syscall.Kill(n, 0) != nil {
			t.Errorf("daemon %q of the first step ended with the second", pid)
		}
	}
	write(t, first.Workspace+"/go", "", 0o644)
	wg.Wait()
	for _, pid := range daemons {
		gone(t, pid)
	}
}

// Children of this process that no step started are not the executor's.
func TestOtherChildrenAreLeftAlone(t *testing.T) {
	other := exec.Command("sleep", "1000")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, t.Context(), new(Executor), script(t, "sleep 1000 &")); err != nil {
		t.Error(err)
	}
	if err := other.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("a child of somebody else: %v", err)
	}
	_ = other.Process.Kill()
	_ = other.Wait()
}

// Commands that this process runs in sessions of their own beside steps are neither
// ended with one nor reaped by it.
func TestOwnSessionsAreLeftAlone(t *testing.T) {
	for range 20 {
		cmd := exec.Command("sh", "-c", "echo begun; read line; exit 3")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		begun, out := io.Pipe()
		cmd.Stdout = out
		ended := make(chan error, 1)
		go func() { ended <- session.Run(cmd) }()
		if _, err := begun.Read(make([]byte, 16)); err != nil {
			t.Fatal(err)
		}
		if _, err := run(t, t.Context(), new(Executor), script(t, ":")); err != nil {
			t.Fatal(err)
		}
		var steps sync.WaitGroup
		steps.Go(func() { _, _ = run(t, t.Context(), new(Executor), script(t, "sleep 1000 &")) })
		_ = in.Close()
		steps.Wait()
		var exit *exec.ExitError
		if err := <-ended; !errors.As(err, &exit) || exit.ExitCode() != 3 {
			t.Fatalf("the command beside steps ended with %v; want exit 3", err)
		}
	}
}

func TestManyStepsAtOnce(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				if r, err := run(t, t.Context(), new(Executor), script(t, "sleep 1000 & exit 5")); err != nil || r.Exit != 5 {
					t.Errorf("Run = %+v, %v, want exit 5", r, err)
				}
			}
		})
	}
	wg.Wait()
}
