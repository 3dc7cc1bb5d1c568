package host

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/velocity-ci/velocity/builder/executor"
)

func TestMain(m *testing.M) {
	if helper := os.Getenv("HOST_TEST_HELPER"); helper != "" {
		os.Exit(runHelper(helper))
	}
	os.Exit(m.Run())
}

// runHelper is a builder that can be killed: it runs a step that never ends, in
// the workspace it is given and is named after, and lets it print.
func runHelper(workspace string) int {
	_, err := new(Executor).Run(context.Background(), executor.Command{
		Owner:     executor.Owner{Builder: workspace, Build: "b-1", Task: "s0t0", Attempt: 1},
		Argv:      []string{"sh", "-c", "(setsid sh -c 'echo $$; exec sleep 1000' &); echo $$; exec sleep 1000"},
		Workspace: workspace, Stdout: os.Stdout, Stderr: os.Stderr, Grace: long,
	})
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// helper starts a builder and returns it with the processes of its step.
func helper(t *testing.T, name string) (*exec.Cmd, []int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "HOST_TEST_HELPER="+name)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var pids []int
	for s := bufio.NewScanner(out); len(pids) < 2 && s.Scan(); {
		pid, err := strconv.Atoi(s.Text())
		if err != nil {
			t.Fatalf("the helper printed %q", s.Text())
		}
		pids = append(pids, pid)
	}
	if len(pids) < 2 {
		t.Fatal("the helper's step did not start")
	}
	t.Cleanup(func() {
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return cmd, pids
}

// ended reports whether a process runs no more; nobody may have waited for it.
func ended(pid int) bool {
	p, err := readProcess(pid)
	return err != nil || p.state == 'Z'
}

func reap(t *testing.T, builder string, running map[string]bool, want int) {
	t.Helper()
	if n, err := (&Executor{Builder: builder}).Reap(t.Context(), func(owner string) bool { return running[owner] }); n != want || err != nil {
		t.Errorf("Reap(%s) = %d, %v, want %d", builder, n, err, want)
	}
}

func TestReap(t *testing.T) {
	name := t.TempDir()
	builder, pids := helper(t, name)
	reap(t, name, nil, 0)
	if slices.ContainsFunc(pids, ended) {
		t.Fatal("Reap ended the steps of a builder that is alive")
	}
	if err := builder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = builder.Wait()
	reap(t, name[:len(name)-1], nil, 0)
	if slices.ContainsFunc(pids, ended) {
		t.Fatal("Reap ended the steps of another builder")
	}
	reap(t, name, nil, 2)
	for _, pid := range pids {
		if !ended(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
	reap(t, name, nil, 0)
}

func TestReapSparesWhatRuns(t *testing.T) {
	c, lines := talking(t, "echo $$; exec sleep 1000")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = run(t, ctx, new(Executor), c)
	}()
	pid, err := strconv.Atoi(<-lines)
	if err != nil {
		t.Fatal(err)
	}
	reap(t, c.Owner.Builder, map[string]bool{c.Owner.String(): true}, 0)
	if ended(pid) {
		t.Error("Reap ended a step that runs")
	}
	reap(t, c.Owner.Builder, nil, 1)
	if !ended(pid) {
		t.Error("Reap left a step that is not running as far as the builder knows")
	}
	cancel()
	<-done
}

func TestChildrenAreFoundEitherWay(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fast, slow := children(), childrenByParent()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	slices.Sort(fast)
	slices.Sort(slow)
	if diff := cmp.Diff(slow, fast); diff != "" || !slices.Contains(fast, cmd.Process.Pid) {
		t.Errorf("children = %v, want %v with %d", fast, slow, cmd.Process.Pid)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("12 (a) b) Z 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 1234 20"))
	f.Add([]byte("12 (a) S 1 2"))
	f.Add([]byte(") x y"))
	f.Fuzz(func(t *testing.T, stat []byte) {
		p, err := parseStat(stat)
		if (err == nil) != (p.start != "" && p.state != 0) {
			t.Errorf("parseStat(%q) = %+v, %v", stat, p, err)
		}
	})
}

func TestParseStat(t *testing.T) {
	got, err := parseStat([]byte("12 (a) b) Z 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 1234 20"))
	want := process{parent: 1, group: 2, session: 3, state: 'Z', ending: true, start: "1234"}
	if got != want || err != nil {
		t.Errorf("parseStat = %+v, %v, want %+v", got, err, want)
	}
}
