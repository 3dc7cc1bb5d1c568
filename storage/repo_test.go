package storage_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/git"
	"github.com/velocity-ci/velocity/storage/ledgertest"
)

var start = time.Date(2026, 11, 22, 16, 5, 0, 0, time.UTC)

// cli is the git program in a repository of its own kind of world: no
// configuration but the repository's. It is the judge of what we store.
func cli(tb testing.TB, dir string, args ...string) string {
	tb.Helper()
	out, err := try(dir, args...)
	if err != nil {
		tb.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func try(dir string, args ...string) (string, error) { return tryWith(dir, nil, args...) }

func tryWith(dir string, in io.Reader, args ...string) (string, error) {
	c := exec.Command("git", args...)
	c.Stdin = in
	c.Dir = dir
	c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_DIR="+dir,
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.org",
		"GIT_AUTHOR_DATE=1700000000 +0000", "GIT_COMMITTER_DATE=1700000000 +0000")
	out, err := c.CombinedOutput()
	return strings.TrimSuffix(string(out), "\n"), err
}

// newRepo makes a bare repository with n commits on main, newest last.
func newRepo(tb testing.TB, n int) (dir string, commits []plan.Commit) {
	tb.Helper()
	dir = filepath.Join(tb.TempDir(), "repo.git")
	if out, err := exec.Command("git", "init", "-q", "--bare", "-b", "main", dir).CombinedOutput(); err != nil {
		tb.Fatalf("git init: %v\n%s", err, out)
	}
	tree := cli(tb, dir, "hash-object", "-t", "tree", "-w", "/dev/null")
	for i := range n {
		args := []string{"commit-tree", "-m", "commit " + string(rune('a'+i)), tree}
		if i > 0 {
			args = append(args, "-p", string(commits[i-1]))
		}
		commits = append(commits, plan.Commit(cli(tb, dir, args...)))
	}
	if n > 0 {
		cli(tb, dir, "update-ref", "refs/heads/main", string(commits[n-1]))
	}
	return dir, commits
}

func openStore(tb testing.TB, dir string) *storage.Store {
	tb.Helper()
	s, err := openQuietly(dir)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func openQuietly(dir string) (*storage.Store, error) {
	repo, err := git.Open(context.Background(), dir)
	if err != nil {
		return nil, err
	}
	return storage.Open(repo, time.Now), nil
}

// acquireIn takes the lock of dir until the test ends or release is called, which
// must go well.
func acquireIn(tb testing.TB, dir string, folded func(build.ID)) (l *storage.Ledger, release func()) {
	tb.Helper()
	return acquire(tb, openStore(tb, dir), folded)
}

// acquireAt does so by another clock.
func acquireAt(tb testing.TB, dir string, now func() time.Time) (l *storage.Ledger, release func()) {
	tb.Helper()
	repo, err := git.Open(context.Background(), dir)
	if err != nil {
		tb.Fatal(err)
	}
	return acquire(tb, storage.Open(repo, now), nil)
}

func acquire(tb testing.TB, s *storage.Store, folded func(build.ID)) (l *storage.Ledger, release func()) {
	tb.Helper()
	l, err := s.Acquire(context.Background(), "test", folded)
	if err != nil {
		tb.Fatal(err)
	}
	once := sync.OnceValue(func() error { return l.Release(context.Background()) })
	tb.Cleanup(func() { _ = once() }) // a test may have broken it
	return l, func() {
		if err := once(); err != nil {
			tb.Errorf("Release: %v", err)
		}
	}
}

// fsck fails unless git finds everything in order. The commit-graph is left out: a
// gc that lists a live commit just before it is dropped writes it there until the
// next gc, and nothing reads it. Package storage/git has a test of the rest.
func fsck(tb testing.TB, dir string) {
	tb.Helper()
	out := cli(tb, dir, "-c", "core.commitGraph=false", "fsck", "--full", "--strict", "--no-dangling")
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "notice: HEAD points to an unborn branch") {
			tb.Errorf("git fsck: %s", line)
		}
	}
}

// begin records a new build of n tasks.
func begin(tb testing.TB, l *storage.Ledger, c plan.Commit, n int) *build.Build {
	tb.Helper()
	id, err := l.Next(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	b, moves := build.New(ledgertest.Request(id, c, n), start)
	moves = append(moves, b.Open(start)...)
	p := &plan.Plan{Version: plan.Version, Kind: plan.OfPipeline, Name: "default", Commit: c, ConfigCommit: c, Stages: []plan.Stage{}}
	ledgertest.Record(tb, l, build.Change{Build: b.Clone(), Moves: moves, Plan: p})
	return b
}

// finish lets all tasks of b succeed, in one change, with a log each.
func finish(tb testing.TB, l *storage.Ledger, b *build.Build) {
	tb.Helper()
	text := filepath.Join(tb.TempDir(), "log")
	for _, name := range []string{text, text + ".times"} {
		if err := os.WriteFile(name, []byte(b.ID.String()+"\n"), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	moves := ledgertest.End(tb, b)
	logs := []build.LogFile{{Task: "s0t0", Attempt: 1, Text: text, Times: text + ".times"}}
	ledgertest.Record(tb, l, build.Change{Build: b.Clone(), Moves: moves, Logs: logs})
}

// recorded makes a finished build and waits until it is folded.
func recorded(tb testing.TB, dir string, commits ...plan.Commit) []build.ID {
	tb.Helper()
	folded := make(chan build.ID, len(commits))
	l, release := acquireIn(tb, dir, func(id build.ID) { folded <- id })
	var ids []build.ID
	for _, c := range commits {
		b := begin(tb, l, c, 1)
		finish(tb, l, b)
		ids = append(ids, <-folded)
	}
	release()
	return ids
}

// storeOf is the id of the repository's own store.
func storeOf(tb testing.TB, l *storage.Ledger) string {
	tb.Helper()
	id, err := l.ID()
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

func liveRef(id build.ID) string {
	return fmt.Sprintf("refs/velocity/%s/live/%010d", id.Store, id.Number)
}
