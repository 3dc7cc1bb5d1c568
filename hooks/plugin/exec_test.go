package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/velocity-ci/velocity/architect/build"
)

// A program gets the event, and nothing of our environment.
func TestExec(t *testing.T) {
	t.Setenv("VELOCITY_CANARY", "canary")
	got, env := filepath.Join(t.TempDir(), "got"), filepath.Join(t.TempDir(), "env")
	e := example(t, build.BuildFail)
	if err := program(t, "/bin/cat >"+got+"; /usr/bin/env >"+env+"; echo $# >>"+env).Send(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(got)
	if err != nil {
		t.Fatal(err)
	}
	var read Event
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*e, read); diff != "" {
		t.Errorf("what it read (-want +got):\n%s", diff)
	}
	seen, err := os.ReadFile(env)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(seen)) { // a shell sets these itself
		if name, _, _ := strings.Cut(line, "="); name != "PWD" && name != "OLDPWD" && name != "SHLVL" && name != "_" && line != "0\n" {
			t.Errorf("it sees %s", line)
		}
	}
}

func TestExecFails(t *testing.T) {
	for name, tt := range map[string]struct{ script, want string }{
		"exit":                 {"echo why; exit 3", `exit status 3; it said "why"`},
		"killed":               {"kill -9 $$", "signal: killed"},
		"flood":                {"exec /usr/bin/head -c 1000000000 /dev/zero", "it wrote more than 1 MiB"},
		"flood while it forks": {"/usr/bin/head -c 1000000000 /dev/zero & /usr/bin/head -c 1000000000 /dev/zero >&2; wait", "it wrote more than 1 MiB"},
	} {
		if err := program(t, tt.script).Send(t.Context(), example(t, build.BuildStart)); err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v; want %s", name, err, tt.want)
		}
	}
	if err := (&Exec{Path: "/nosuch"}).Send(t.Context(), example(t, build.BuildStart)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no program: %v", err)
	}
}

// Nothing of a program's group is left when it was told, or was given up: neither
// what it left behind, nor what hangs with it. held is a pipe that only ends when
// nobody has it open any more.
func TestExecLeavesNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		script string
		cancel bool
		want   bool
	}{
		"left behind": {"exec 9>PIPE; /bin/sleep 600 & exit 0", false, true},
		"hangs":       {"exec 9>PIPE; /bin/sleep 600 & wait", true, false},
	} {
		held := filepath.Join(t.TempDir(), "held")
		if err := unix.Mkfifo(held, 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		sent := make(chan error, 1)
		go func() {
			sent <- program(t, strings.ReplaceAll(tt.script, "PIPE", held)).Send(ctx, example(t, build.BuildStart))
		}()
		pipe, err := os.Open(held) // returns once the program has opened it
		if err != nil {
			t.Fatal(err)
		}
		if tt.cancel {
			cancel()
		}
		if err := <-sent; (err == nil) != tt.want {
			t.Errorf("%s: %v", name, err)
		}
		if n, err := pipe.Read(make([]byte, 1)); n != 0 || err == nil { // ends when all are gone
			t.Errorf("%s: read %d bytes, %v", name, n, err)
		}
		pipe.Close()
		cancel()
	}
}

// What left the group with our pipe in hand holds nobody up.
func TestExecEscapes(t *testing.T) {
	folder := t.TempDir()
	held, begun := filepath.Join(folder, "held"), filepath.Join(folder, "begun")
	for _, path := range []string{held, begun} {
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pipe, err := os.OpenFile(held, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close() // it ends then
	script := "/usr/bin/setsid /bin/sh -c 'exec <" + held + "; echo here >" + begun + "; read x' & read y <" + begun
	if err := program(t, script).Send(t.Context(), example(t, build.BuildStart)); err != nil {
		t.Error(err)
	}
}
