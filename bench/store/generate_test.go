package store

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage"
	storegit "github.com/velocity-ci/velocity/storage/git"
)

// The generated repository is the one that the ledger would have written: the
// same trees to the last byte, and the same notes.
func TestGeneratedIsWhatTheLedgerWrites(t *testing.T) {
	h := newHistory(120, 7, true)
	fast := newRepo(t)
	generate(t, fast, h)
	slow := newRepo(t)
	generate(t, slow, newHistory(0, 7, false))
	gitStdin(t, slow, nil, "fetch", "-q", fast, "refs/heads/*:refs/heads/*")
	record(t, slow, h)
	for _, ref := range []string{"archive/0000", "logs/00000"} {
		name := "refs/velocity/" + storeID + "/" + ref
		if diff := cmp.Diff(git(t, slow, "ls-tree", "-r", name), git(t, fast, "ls-tree", "-r", name)); diff != "" {
			t.Errorf("%s (-ledger +generated):\n%s", ref, diff)
		}
	}
	notes := func(dir string) string { return git(t, dir, "log", "--notes=velocity", "--format=%H %N", "main") }
	if diff := cmp.Diff(notes(slow), notes(fast)); diff != "" {
		t.Errorf("notes (-ledger +generated):\n%s", diff)
	}
	seq := "refs/velocity/" + storeID + "/seq"
	if want, got := git(t, slow, "cat-file", "-p", seq), git(t, fast, "cat-file", "-p", seq); got != want {
		t.Errorf("seq is %q, the ledger's %q", got, want)
	}
	git(t, fast, "fsck", "--full", "--strict")
}

// record writes a history with the ledger.
func record(t *testing.T, dir string, h *history) {
	t.Helper()
	l := acquire(t, dir, nil)
	for number := 1; number <= h.n; number++ {
		id, err := l.Next(t.Context())
		if err != nil || id.Number != int64(number) {
			t.Fatalf("Next() = %v, %v; want number %d", id, err, number)
		}
		b, moves, p := h.build(number)
		change := build.Change{Build: b, Moves: moves, Plan: p}
		for _, task := range h.logged(b) {
			text, times := h.log(b, task)
			log := build.LogFile{Task: task, Attempt: 1, Text: save(t, text), Times: save(t, times)}
			change.Logs = append(change.Logs, log)
		}
		l.Append(change, func(err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := l.Release(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func save(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func openStore(tb testing.TB, dir string) *storage.Store {
	tb.Helper()
	repo, err := storegit.Open(context.Background(), dir)
	if err != nil {
		tb.Fatal(err)
	}
	return storage.Open(repo, time.Now)
}

func acquire(tb testing.TB, dir string, folded func(build.ID)) *storage.Ledger {
	tb.Helper()
	l, err := openStore(tb, dir).Acquire(context.Background(), "bench", folded)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}
