package storage_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage"
)

// bring copies a store's blocks and the notes from one repository to another, as
// velocity fetch does.
func bring(tb testing.TB, from, to, remote, store string) {
	tb.Helper()
	cli(tb, to, "-c", "protocol.file.allow=always", "fetch", "-q", from,
		fmt.Sprintf("+refs/velocity/%s/archive/*:refs/velocity/remotes/%s/%s/archive/*", store, remote, store),
		fmt.Sprintf("+refs/velocity/%s/logs/*:refs/velocity/remotes/%s/%s/logs/*", store, remote, store))
}

// checkReadable reads a finished build in every way there is.
func checkReadable(tb testing.TB, dir string, id build.ID) {
	tb.Helper()
	s := openStore(tb, dir)
	if found, err := s.Find(tb.Context(), id.String()); found != id || err != nil {
		tb.Errorf("Find(%s) = %s, %v", id, found, err)
	}
	b, moves, err := s.Build(tb.Context(), id)
	if err != nil || b.State() != build.Succeeded || len(moves) == 0 {
		tb.Errorf("Build(%s) = %v with %d moves, %v", id, b, len(moves), err)
	}
	if p, err := s.Plan(tb.Context(), id); p == nil || err != nil {
		tb.Errorf("Plan(%s) = %v, %v", id, p, err)
	}
	text, _, err := s.Log(tb.Context(), id, "s0t0", 1)
	if string(text) != id.String()+"\n" || err != nil {
		tb.Errorf("Log(%s) = %q, %v", id, text, err)
	}
}

func listed(tb testing.TB, s *storage.Store, q storage.Query) []build.ID {
	tb.Helper()
	builds, err := s.Builds(tb.Context(), q)
	if err != nil {
		tb.Fatal(err)
	}
	var ids []build.ID
	for _, b := range builds {
		ids = append(ids, b.ID)
	}
	return ids
}

func TestFetchedBuildsAreRead(t *testing.T) {
	there, commits := newRepo(t, 2)
	theirs := recorded(t, there, commits...)
	here, _ := newRepo(t, 2) // the same commits
	bring(t, there, here, "origin", theirs[0].Store)

	// a clone in which nothing was ever built
	checkReadable(t, here, theirs[0])
	s := openStore(t, here)
	if id, err := s.Find(t.Context(), "2"); id != theirs[1] || err != nil {
		t.Errorf("Find(2) = %s, %v; want %s", id, err, theirs[1])
	}

	// one with builds of its own, which come first
	ours := recorded(t, here, commits[0])
	checkReadable(t, here, theirs[1])
	checkReadable(t, here, ours[0])
	s = openStore(t, here)
	if diff := cmp.Diff([]build.ID{ours[0], theirs[1], theirs[0]}, listed(t, s, storage.Query{})); diff != "" {
		t.Errorf("builds (-want +got):\n%s", diff)
	}
	if id, err := s.Find(t.Context(), "1"); id != ours[0] || err != nil {
		t.Errorf("Find(1) = %s, %v; want our own %s", id, err, ours[0])
	}
	if known, err := s.OfCommit(t.Context(), commits[0]); len(known) != 1 || known[0].ID != ours[0] || err != nil {
		t.Errorf("OfCommit = %v, %v; want our own alone", known, err)
	}
	cli(t, here, "-c", "protocol.file.allow=always", "fetch", "-q", there, "+refs/notes/velocity:refs/notes/velocity")
	if id, err := s.Find(t.Context(), string(commits[1])); id != theirs[1] || err != nil {
		t.Errorf("Find(commit) = %s, %v; want %s", id, err, theirs[1])
	}
}

// TestFetchedCopies: of several copies the newest counts, and one in place before
// all of them.
func TestFetchedCopies(t *testing.T) {
	there, commits := newRepo(t, 3)
	here, _ := newRepo(t, 3)
	first := recorded(t, there, commits[0])[0]
	archive := "refs/velocity/" + first.Store + "/archive/0000"
	older := cli(t, there, "rev-parse", archive)
	cli(t, there, "update-ref", archive, dated(t, there, older))
	logs := "refs/velocity/" + first.Store + "/logs/00000"
	cli(t, there, "update-ref", logs, dated(t, there, logs))
	bring(t, there, here, "a-stale", first.Store)
	bring(t, there, here, "z-stale", first.Store)
	second := recorded(t, there, commits[1])[0]
	bring(t, there, here, "middle", first.Store)
	want := []build.ID{second, first}
	if diff := cmp.Diff(want, listed(t, openStore(t, here), storage.Query{})); diff != "" {
		t.Errorf("of three copies (-want +got):\n%s", diff)
	}
	checkReadable(t, here, second)
	cli(t, here, "update-ref", archive, "refs/velocity/remotes/a-stale/"+first.Store+"/archive/0000")
	if diff := cmp.Diff(want[1:], listed(t, openStore(t, here), storage.Query{})); diff != "" {
		t.Errorf("with one in place (-want +got):\n%s", diff)
	}
}

// dated is a commit's tree as if it were committed years ago.
func dated(tb testing.TB, dir, commit string) string {
	tb.Helper()
	return cli(tb, dir, "commit-tree", "-m", "old", commit+"^{tree}")
}

// TestFetchedIsNotOurs: nothing that was fetched is read as the own store's or as
// unfinished, and nothing damaged among it hides anything.
func TestFetchedIsNotOurs(t *testing.T) {
	here, commits := newRepo(t, 2)
	ours := recorded(t, here, commits...)
	own := ours[0].Store
	theirs, _ := newRepo(t, 2)
	foreign := recorded(t, theirs, commits[0])[0]
	archive := cli(t, theirs, "rev-parse", "refs/velocity/"+foreign.Store+"/archive/0000")
	bring(t, theirs, here, "origin", foreign.Store)
	cli(t, here, "update-ref", "-d", "refs/velocity/remotes/origin/"+foreign.Store+"/archive/0000")
	cli(t, here, "--work-tree=.", "read-tree", "--prefix=00/0000010001/", archive+":00/0000000001")
	forged := cli(t, here, "commit-tree", "-m", "forged", cli(t, here, "write-tree"))
	cli(t, here, "update-ref", "refs/velocity/remotes/origin/"+own+"/archive/0001", forged)
	for _, name := range []string{own + "/live/0000000009", foreign.Store + "/live/0000000007"} {
		cli(t, here, "update-ref", "refs/velocity/remotes/origin/"+name, archive)
	}
	blob := cli(t, here, "hash-object", "-w", "/dev/null")
	cli(t, here, "update-ref", "refs/velocity/remotes/origin/aaaaaa/archive/0000", blob)

	s := openStore(t, here)
	for _, id := range []build.ID{{Store: own, Number: 9}, {Store: own, Number: 10_001}, {Store: foreign.Store, Number: 7}} {
		if _, err := s.Find(t.Context(), id.String()); !errors.Is(err, storage.ErrNoBuild) {
			t.Errorf("Find(%s) = %v, want ErrNoBuild", id, err)
		}
	}
	builds, err := s.Builds(t.Context(), storage.Query{})
	if len(builds) != 2 || err == nil {
		t.Errorf("Builds = %d builds, %v; want our two, and what is wrong with aaaaaa", len(builds), err)
	}
	cli(t, here, "notes", "--ref=velocity", "append", "-m",
		`velocity/1 aaaaaa-0000000001 x: succeeded push - 1/1 1s 2026-11-22T16:08:09Z ""`, string(commits[0]))
	if id, err := s.Find(t.Context(), string(commits[0])); id != ours[0] || err != nil {
		t.Errorf("Find(commit) = %s, %v; want %s", id, err, ours[0])
	}
	if known, err := s.OfCommit(t.Context(), commits[0]); len(known) != 1 || err != nil {
		t.Errorf("OfCommit = %v, %v; want one build", known, err)
	}
}
