package git

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckout(t *testing.T) {
	r, dir := newWork(t, map[string]string{"a": "1", "d/b": "2", "run": "#!/bin/sh\n"})
	if err := errors.Join(os.Chmod(filepath.Join(dir, "run"), 0o777), os.Symlink("a", filepath.Join(dir, "link"))); err != nil {
		t.Fatal(err)
	}
	first := commitFiles(t, dir, nil)
	cli(t, dir, "tag", "-a", "-m", "x", "v1")
	second := commitFiles(t, dir, map[string]string{"a": "2"})
	before := cli(t, dir, "for-each-ref") + cli(t, dir, "worktree", "list")
	for _, packed := range []bool{false, true} {
		if packed {
			cli(t, dir, "gc", "--quiet")
		}
		ws := filepath.Join(realTemp(t), "ws")
		if err := r.Checkout(t.Context(), ws, first); err != nil {
			t.Fatal(err)
		}
		if got := cli(t, ws, "status", "--porcelain=v1", "--ignored"); got != "" {
			t.Errorf("git status = %q, want nothing", got)
		}
		if got := cli(t, ws, "rev-parse", "HEAD"); got != first.String() {
			t.Errorf("HEAD = %s, want %s", got, first)
		}
		if got := cli(t, ws, "describe", "origin/main"); !strings.HasPrefix(got, "v1-1-g") {
			t.Errorf("git describe = %s", got)
		}
		if got := cli(t, ws, "rev-parse", "origin/main"); got != second.String() {
			t.Errorf("origin/main = %s, want %s", got, second)
		}
		if got := cli(t, ws, "log", "--oneline"); strings.Count(got, "\n") != 1 {
			t.Errorf("git log = %q, want two commits", got)
		}
		if info, err := os.Lstat(filepath.Join(ws, "run")); err != nil || info.Mode()&0o111 == 0 {
			t.Errorf("run is not executable: %v", err)
		}
		if target, err := os.Readlink(filepath.Join(ws, "link")); target != "a" {
			t.Errorf("link = %q, %v", target, err)
		}
		commitFiles(t, ws, map[string]string{"new": "in the workspace"}) // and stays there
		fsck(t, ws)
	}
	if after := cli(t, dir, "for-each-ref") + cli(t, dir, "worktree", "list"); after != before {
		t.Errorf("the source changed:\n%s\nto\n%s", before, after)
	}
}

func TestCheckoutErrors(t *testing.T) {
	r, dir := newWork(t, map[string]string{"a": "1"})
	head := hash(t, cli(t, dir, "rev-parse", "HEAD"))
	base := realTemp(t)
	if err := r.Checkout(t.Context(), filepath.Join(base, "ws"), hash(t, strings.Repeat("12", 20))); !errors.Is(err, ErrObjectNotFound) {
		t.Errorf("Checkout of a missing commit = %v", err)
	}
	full := filepath.Join(base, "full")
	if err := errors.Join(os.Mkdir(full, 0o777), os.WriteFile(filepath.Join(full, "x"), nil, 0o666)); err != nil {
		t.Fatal(err)
	}
	if err := r.Checkout(t.Context(), full, head); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("Checkout into a full folder = %v", err)
	}
	// A tree that git refuses to write out: the folder is as before.
	blob := cliInput(t, dir, "x", "hash-object", "-w", "--stdin")
	tree := cliInput(t, dir, "100644 blob "+blob+"\t.git\x00", "mktree", "-z")
	evil := hash(t, cli(t, dir, "commit-tree", "-m", "evil", tree))
	empty := filepath.Join(base, "empty")
	if err := os.Mkdir(empty, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, ws := range []string{empty, filepath.Join(base, "new")} {
		if err := r.Checkout(t.Context(), ws, evil); err == nil {
			t.Errorf("Checkout of a tree with .git in it succeeded")
		}
	}
	entries, err := os.ReadDir(base)
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v; want the two folders of before", entries, err)
	}
	if entries, err := os.ReadDir(empty); err != nil || len(entries) != 0 {
		t.Errorf("%v, %v; want an empty folder", entries, err)
	}
}

// TestCheckoutRunsNothing plants every place from which a checkout could start a
// program: hooks, filters, fsmonitor, submodules, in source and in history.
func TestCheckoutRunsNothing(t *testing.T) {
	r, dir := newWork(t, map[string]string{
		".gitattributes": "* filter=evil diff=evil\n",
		".gitmodules":    "[submodule \"s\"]\n\tpath = s\n\turl = ext::touch canary\n\tupdate = !touch canary\n",
		"a":              "1",
	})
	canary := filepath.Join(realTemp(t), "canary")
	script := "#!/bin/sh\ntouch " + canary + "\n"
	for _, hook := range []string{"post-checkout", "post-index-change", "reference-transaction"} {
		path := filepath.Join(dir, ".git/hooks", hook)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(script), 0o777)); err != nil {
			t.Fatal(err)
		}
	}
	head := hash(t, cli(t, dir, "rev-parse", "HEAD"))
	cli(t, dir, "checkout", "--quiet", "--detach")
	if err := os.Remove(canary); err != nil {
		t.Fatalf("the hooks do not work, so the test proves nothing: %v", err)
	}
	for key, value := range map[string]string{
		"filter.evil.smudge": "touch " + canary + "; cat", "filter.evil.clean": "touch " + canary + "; cat",
		"core.fsmonitor": filepath.Join(dir, ".git/hooks/post-checkout"), "core.hooksPath": filepath.Join(dir, ".git/hooks"),
	} {
		cli(t, dir, "config", key, value)
	}
	if err := r.Checkout(t.Context(), filepath.Join(realTemp(t), "ws"), head); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(canary); err == nil {
		t.Error("the checkout ran a program of the repository")
	}
}
