package git

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDescribe(t *testing.T) {
	r, dir := newWork(t, map[string]string{"a": "1"})
	first := hash(t, cli(t, dir, "rev-parse", "HEAD"))
	if got, err := r.Describe(t.Context(), first, false); got != first.String()[:7] || err != nil {
		t.Errorf("Describe without tags = %q, %v", got, err)
	}
	cli(t, dir, "tag", "-a", "-m", "x", "v1")
	second := commitFiles(t, dir, map[string]string{"a": "2"})
	for _, all := range []bool{false, true} {
		args := []string{"describe", "--always", second.String()}
		if all {
			args = slices.Insert(args, 1, "--all")
		}
		if got, err := r.Describe(t.Context(), second, all); got != cli(t, dir, args...) || err != nil {
			t.Errorf("Describe(all %v) = %q, %v; want %q", all, got, err, cli(t, dir, args...))
		}
	}
}

func TestChanges(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", "")
	r, dir := newWork(t, map[string]string{"a": "1", "b": "1", ".gitignore": "*.log\n"})
	write := func(path, content string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(content), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want ...string) {
		t.Helper()
		got, err := r.Changes(t.Context())
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("Changes (-want +got), %v:\n%s", err, diff)
		}
	}
	check()
	write(filepath.Join(dir, "x.log"), "ignored here")
	write(filepath.Join(dir, ".DS_Store"), "")
	check(".DS_Store")
	write(filepath.Join(home, ".config/git/ignore"), ".DS_Store\n")
	check()
	write(filepath.Join(home, ".gitconfig"), "[core]\n\texcludesFile = ~/mine\n")
	check(".DS_Store")
	write(filepath.Join(home, "mine"), ".DS*\n")
	check()
	write(filepath.Join(dir, "a"), "22")
	write(filepath.Join(dir, "new\nline"), "")
	cli(t, dir, "mv", "b", "c")
	check("a", "b", "c", "new\nline")
	bare, _ := newBare(t)
	if _, err := bare.Changes(t.Context()); err == nil {
		t.Error("Changes in a bare repository succeeded")
	}
}

// TestChangesRunsNothing: git status would start the file system monitor and the
// hook that a repository's own configuration names.
func TestChangesRunsNothing(t *testing.T) {
	r, dir := newWork(t, map[string]string{"a": "1"})
	canary, script := filepath.Join(realTemp(t), "canary"), filepath.Join(dir, ".git/hooks/post-index-change")
	err := errors.Join(os.MkdirAll(filepath.Dir(script), 0o777), os.WriteFile(script, []byte("#!/bin/sh\ntouch "+canary+"\n"), 0o777))
	if err != nil {
		t.Fatal(err)
	}
	cli(t, dir, "config", "core.fsmonitor", script)
	cli(t, dir, "status")
	if err := os.Remove(canary); err != nil {
		t.Fatalf("git status runs nothing by itself, so the test proves nothing: %v", err)
	}
	if got, err := r.Changes(t.Context()); len(got) > 0 || err != nil {
		t.Errorf("Changes = %v, %v", got, err)
	}
	if _, err := os.Stat(canary); err == nil {
		t.Error("Changes ran a program of the repository")
	}
}

// TestInsideHook: a hook's environment names its repository, and must not lead
// our calls there.
func TestInsideHook(t *testing.T) {
	_, other := newWork(t, map[string]string{"other": "1"})
	r, dir := newWork(t, map[string]string{"a": "1"})
	t.Setenv("GIT_DIR", filepath.Join(other, ".git"))
	t.Setenv("GIT_WORK_TREE", other)
	t.Setenv("GIT_INDEX_FILE", filepath.Join(other, ".git/index"))
	t.Setenv("GIT_QUARANTINE_PATH", "x")
	if got, err := r.Changes(t.Context()); len(got) > 0 || err != nil {
		t.Errorf("Changes in %s = %v, %v", dir, got, err)
	}
	_, h, err := r.Head()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Checkout(t.Context(), filepath.Join(realTemp(t), "ws"), h); err != nil {
		t.Error(err)
	}
}

func TestProtect(t *testing.T) {
	r, dir := newBare(t)
	cli(t, dir, "config", "receive.hideRefs", "refs/mine")
	cli(t, dir, "config", "transfer.hideRefs", "refs/theirs")
	move(t, r, testRef, Zero, "a")
	for range 2 {
		if err := r.Protect(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got := cli(t, dir, "config", "--get-regexp", `^(receive|transfer)\.`)
	want := "receive.hiderefs refs/mine\ntransfer.hiderefs refs/theirs\nreceive.hiderefs refs/velocity\nreceive.hiderefs refs/notes/velocity\nreceive.advertisepushoptions true"
	if diff := cmp.Diff(sortedLines(want), sortedLines(got)); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	_, work := newWork(t, map[string]string{"a": "1"})
	for _, ref := range []string{testRef, "refs/velocity/s/new", notesRef} {
		if _, err := tryCLI(work, "", "push", "--force", dir, "HEAD:"+ref); err == nil || !strings.Contains(err.Error(), "hidden ref") {
			t.Errorf("push to %s = %v, want a refusal", ref, err)
		}
	}
	cli(t, work, "push", "-o", "velocity.skip", dir, "HEAD:refs/heads/main")
}

func sortedLines(s string) []string { return slices.Sorted(strings.SplitSeq(s, "\n")) }

// TestCommandCanceled: the whole process group ends, and the reason is told.
func TestCommandCanceled(t *testing.T) {
	r, dir := newBare(t)
	pidFile := filepath.Join(dir, "pid")
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("stopping")
	// An alias with ! runs a shell below git, as a transport helper would be.
	c := command{
		options: []string{"alias.wait=!echo $$ >" + pidFile + "; while :; do sleep 1; done"},
		args:    []string{"wait"},
	}
	done := make(chan error, 1)
	go func() { _, err := r.run(ctx, c); done <- err }()
	var pid string
	for pid == "" {
		select {
		case err := <-done:
			t.Fatalf("the command ended by itself: %v", err)
		default:
			data, _ := os.ReadFile(pidFile)
			pid = strings.TrimSpace(string(data))
		}
	}
	cancel(reason)
	if err := <-done; !errors.Is(err, reason) {
		t.Errorf("canceled command = %v, want %v", err, reason)
	}
	for range 100_000 { // the signal has been sent; the kernel may need a moment
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
	}
	t.Errorf("process %s lives on", pid)
}
