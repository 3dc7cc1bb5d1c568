package app

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/require"
)

const keptSecret = "correct-horse-battery"

// shellImage gives the engine an image with a shell and sleep, until the test
// ends, and checks then that no container of it is left.
func shellImage(t *testing.T) string {
	t.Helper()
	busybox, err := exec.LookPath("busybox")
	require.Have(t, "docker", err)
	require.Have(t, "docker", exec.Command("docker", "version").Run())
	name := "velocity-reattach:" + strings.ToLower(rand.Text())
	out, err := exec.Command("sh", "-euc", `cd "$1"; mkdir bin; cp "$2" bin/busybox; ln -s busybox bin/sh; ln -s busybox bin/sleep
		tar -c . | docker import - "$3"`, "sh", t.TempDir(), busybox, name).CombinedOutput()
	if err != nil {
		t.Fatalf("make an image: %v: %s", err, out)
	}
	t.Cleanup(func() {
		left, err := exec.Command("docker", "ps", "-aq", "--filter", "ancestor="+name).Output()
		if err != nil || len(left) > 0 {
			t.Errorf("containers left: %s, %v", left, err)
			_ = exec.Command("docker", append([]string{"rm", "-f"}, strings.Fields(string(left))...)...).Run()
		}
		_ = exec.Command("docker", "image", "rm", "-f", name).Run()
	})
	return name
}

// process starts `velocity builder run` as a process of its own.
func (o *outpost) process(t *testing.T, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("velocity", "builder", "run", "--disk-floor", "1")
	cmd.Env = append(append(os.Environ(), "HOME="+o.home, "XDG_STATE_HOME="), env...)
	cmd.Stdout, cmd.Stderr = o, o
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// await returns once the attempt's log holds text.
func (y *yamen) await(a dispatch.Attempt, text string) {
	y.t.Helper()
	for !strings.Contains(y.log(a), text) {
		select {
		case <-y.more:
		case r := <-y.ends:
			if !strings.Contains(y.log(a), text) { // which comes before the end, and both may be here
				y.t.Fatalf("ended %s, %q before its log held %q: %q", r.Verdict, r.Reason, text, y.log(a))
			}
			y.ends <- r
			return
		}
	}
}

// talking gives the builder a task of two steps in containers. The first prints
// lines with a secret on both streams.
func (y *yamen) talking(image string, attempt, lines int) dispatch.Attempt {
	y.t.Helper()
	first := fmt.Sprintf(`i=0; while [ $i -lt %d ]; do echo "line $i $TOKEN"; echo "error $i" >&2; sleep 0.05; i=$((i+1)); done; echo kept >file2`, lines)
	step := func(script string) plan.Step {
		return plan.Step{Type: plan.StepRun, Secrets: []string{"TOKEN"}, Run: &plan.Run{Image: plan.Text(image), Pull: "never", Script: script}}
	}
	a := dispatch.Assignment{
		Attempt:    dispatch.Attempt{Build: build.ID{Store: "k3f9a2", Number: 1}, Task: "s0t0", Number: attempt},
		Repository: "project", Source: "/nowhere", Commit: y.commit, Credential: attemptPassword,
		Values: map[string]string{"TOKEN": keptSecret},
		Task: plan.Task{
			Key: "s0t0", Name: "test", Parameters: []plan.Parameter{{Name: "TOKEN", Secret: true}},
			Steps: []plan.Step{step(first), step(`read a <file; read b <file2; echo "$a $b $TOKEN"`)},
		},
	}
	if err := y.hub.Assign(y.t.Context(), "b1", a); err != nil {
		y.t.Fatal(err)
	}
	return a.Attempt
}

// A builder is killed twice in the middle of a step in a container. The step goes
// on, the next process takes it up, and it ends as if nothing had been: one
// attempt, each line once, secrets masked, and none of them on the disk.
func TestKilledBuilderTakesUpItsContainer(t *testing.T) {
	image := shellImage(t)
	y := newYamen(t)
	o := &outpost{home: t.TempDir()}
	if status := o.run(t.Context(), "a-token\n", "register", y.http.URL, "--name", "b1"); status != 0 {
		t.Fatalf("register ended with %d: %s", status, o.text())
	}
	cmd := o.process(t)
	<-y.here
	const lines = 60
	a := y.talking(image, 1, lines)
	for _, line := range []string{"line 10 ", "line 25 "} {
		y.await(a, line)
		kill(cmd)
		if found, err := exec.Command("grep", "-rlF", keptSecret, o.home).Output(); err == nil {
			t.Errorf("the secret is in %s", found)
		}
		cmd = o.process(t)
	}
	r := <-y.ends
	if r.Verdict != dispatch.Succeeded || r.Attempt != a {
		t.Fatalf("ended %+v; the builder said %s", r, o.text())
	}
	text := y.log(a)
	if sum := sha256.Sum256([]byte(text)); hex.EncodeToString(sum[:]) != r.Log.SHA256 || int64(len(text)) != r.Log.Bytes {
		t.Errorf("the log is not the one of the result: %q", text)
	}
	var stdout, stderr strings.Builder
	for i := range lines {
		fmt.Fprintf(&stdout, "line %d ***\n", i)
		fmt.Fprintf(&stderr, "error %d\n", i)
	}
	stdout.WriteString("hello kept ***\n")
	errors := regexp.MustCompile(`(?m)^error \d+\n`)
	if got := errors.ReplaceAllString(text, ""); got != stdout.String() {
		t.Errorf("standard output is %q, want %q", got, stdout.String())
	}
	if got := strings.Join(errors.FindAllString(text, -1), ""); got != stderr.String() {
		t.Errorf("standard error is %q, want %q", got, stderr.String())
	}
	stopProcess(t, cmd)
	for _, dir := range []string{"spool", "work"} {
		if left, err := os.ReadDir(filepath.Join(o.state(), dir)); err != nil || len(left) > 0 {
			t.Errorf("left in %s: %v, %v", dir, left, err)
		}
	}
}

// What cannot be taken up again is reported, and what is left of it removed.
func TestKilledBuilderReportsWhatItCannotTakeUp(t *testing.T) {
	image := shellImage(t)
	y := newYamen(t)
	o := &outpost{home: t.TempDir()}
	if status := o.run(t.Context(), "a-token\n", "register", y.http.URL, "--name", "b1"); status != 0 {
		t.Fatalf("register ended with %d: %s", status, o.text())
	}
	cmd := o.process(t)
	<-y.here
	a := y.talking(image, 1, 10000)
	y.await(a, "line 3 ")
	kill(cmd)
	sealed, err := filepath.Glob(filepath.Join(o.state(), "spool", "*", "resume.sealed"))
	if err != nil || len(sealed) != 1 {
		t.Fatalf("sealed: %v, %v", sealed, err)
	}
	if err := os.WriteFile(sealed[0], []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd = o.process(t)
	if r := <-y.ends; r.Verdict != dispatch.Interrupted || r.Reason != "builder restarted" || r.Attempt != a {
		t.Errorf("ended %+v", r)
	}
	stopProcess(t, cmd)
}

func stopProcess(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the builder ended with %v", err)
	}
}
