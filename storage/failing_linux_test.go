package storage_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/require"
)

// lifeTime is when a life has come to a halt that it does not end by itself.
const lifeTime = time.Minute

// outlive runs one whole life in dir under a fault, with the words of wrap before
// the command. It must end by itself, orderly, and with an error that names a
// place if it was refused something.
func outlive(t *testing.T, dir string, commits []plan.Commit, wrap ...string) *acked {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), lifeTime)
	defer cancel()
	child := childOf(t, "life", dir, commits)
	argv := append(wrap, child.Args...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = child.Env
	var out, complaint strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil || strings.Contains(complaint.String(), "goroutine ") {
		t.Errorf("a life under a fault ended with %v: %s", errors.Join(err, context.Cause(ctx)), complaint.String())
	}
	a := newAcked()
	for line := range strings.Lines(out.String()) {
		a.hear(t, strings.TrimSuffix(line, "\n"))
	}
	if len(a.errors) > 0 && !strings.Contains(strings.Join(a.errors, "\n"), dir) {
		t.Errorf("an error names no place: %s", a.errors)
	}
	return a
}

// afterwards: the fault is gone, and what was acknowledged is there. A life that
// was told nothing of the fault is done.
func (a *acked) afterwards(t *testing.T, dir string) {
	t.Helper()
	told := len(a.errors) > 0
	l := recovered(t, dir, later)
	if unnoted := a.check(t, dir, l); len(unnoted) > 0 {
		t.Errorf("finished builds have no note: %s", unnoted)
	}
	if !told && (len(a.folded) != 1 || len(a.seqs) != 1) {
		t.Errorf("a life without an error: folded %v, builds %v", a.folded, a.seqs)
	}
	noLocks(t, dir)
	again := outlive(t, dir, []plan.Commit{plan.Commit(cli(t, dir, "rev-parse", "main"))})
	if len(again.errors) > 0 || len(again.folded) == 0 {
		t.Errorf("the life after it: %s, folded %v", again.errors, again.folded)
	}
}

// failingCalls are what fails in turn. Those that a program cannot do without, such
// as opening and writing any file, fail by other means: see package storage/git.
var failingCalls = []string{"fsync", "renameat", "linkat", "unlinkat", "mkdirat"}

// TestFailingCalls lets calls of a kind fail with EIO in turn, once in every
// thread, in one whole life, those of the git processes in it included.
func TestFailingCalls(t *testing.T) {
	_, err := exec.LookPath("strace")
	require.Have(t, "strace", err)
	every := 2 // our own calls fail one by one in package storage/git
	if testing.Short() {
		every = 30
	}
	made, commits := newRepo(t, 1)
	trace := filepath.Join(t.TempDir(), "trace")
	failed, refused := 0, 0
	for _, call := range failingCalls {
		for n := 1; !t.Failed(); n += every {
			dir := copyRepo(t, made)
			a := outlive(t, dir, commits, "strace", "-f", "--seccomp-bpf", "-o", trace, "-e", "trace="+call,
				"-e", fmt.Sprintf("inject=%s:error=EIO:when=%d", call, n))
			calls, err := os.ReadFile(trace)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(calls), "(INJECTED)") {
				break
			}
			failed++
			if len(a.errors) > 0 {
				refused++
			}
			a.afterwards(t, dir)
			if t.Failed() {
				t.Logf("%s number %d failed; said: %s", call, n, a.errors)
			}
		}
	}
	t.Logf("%d failures, %d of them ended a life", failed, refused)
	if refused < 3 {
		t.Error("too little was refused to prove anything")
	}
}

// leave fills the disk of dir but for some bytes.
func leave(t *testing.T, disk string, bytes int64) (free func()) {
	t.Helper()
	var stat unix.Statfs_t
	if err := unix.Statfs(disk, &stat); err != nil {
		t.Fatal(err)
	}
	filler, err := os.Create(filepath.Join(disk, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	size := int64(stat.Bavail)*stat.Bsize - bytes
	if err := unix.Fallocate(int(filler.Fd()), 0, 0, size); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := errors.Join(filler.Close(), os.Remove(filler.Name())); err != nil {
			t.Error(err)
		}
	}
}

// TestDiskFillsUp lets the disk fill up at every point of one whole life: with
// nothing free, with one page, with two, until there is enough for all of it.
func TestDiskFillsUp(t *testing.T) {
	disk := smallDisk(t)
	made, commits := newRepo(t, 1)
	page, every := int64(syscall.Getpagesize()), int64(1)
	if testing.Short() {
		every = 8
	}
	refused := 0
	for pages := int64(0); !t.Failed(); pages += every {
		dir := filepath.Join(disk, fmt.Sprintf("%d.git", pages))
		if err := os.CopyFS(dir, os.DirFS(made)); err != nil {
			t.Fatal(err)
		}
		free := leave(t, disk, pages*page)
		a := outlive(t, dir, commits)
		free()
		if len(a.errors) == 0 {
			break
		}
		refused++
		if !strings.Contains(strings.Join(a.errors, "\n"), syscall.ENOSPC.Error()) {
			t.Errorf("with %d pages: %s", pages, a.errors)
		}
		a.afterwards(t, dir)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d full disks", refused)
	if refused < 2 {
		t.Error("the disk was not full")
	}
}
