package storage_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/ledgertest"
)

// copyRepo is a copy of a repository as a crash would have left it.
func copyRepo(tb testing.TB, dir string) string {
	tb.Helper()
	to := filepath.Join(tb.TempDir(), "copy.git")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		tb.Fatal(err)
	}
	return to
}

// refsOf maps the refs of ours to what they name.
func refsOf(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	refs := map[string]string{}
	for line := range strings.Lines(cli(tb, dir, "for-each-ref", "--format=%(refname) %(objectname)", "refs/velocity", "refs/notes")) {
		name, hash, _ := strings.Cut(strings.TrimSpace(line), " ")
		refs[name] = hash
	}
	return refs
}

// A fold moves four refs one after the other. A crash between any two of them is
// completed by the next writer, and nothing is there twice.
func TestFoldIsCompletedAfterACrash(t *testing.T) {
	dir, commits := newRepo(t, 1)
	recorded(t, dir, commits[0]) // so that all refs exist before
	folded := make(chan build.ID, 1)
	l, release := acquireIn(t, dir, func(id build.ID) { folded <- id })
	b := begin(t, l, commits[0], 1)
	var before map[string]string
	moves := ledgertest.End(t, b)
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, []byte("text\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.Append(build.Change{Build: b.Clone(), Moves: moves, Logs: []build.LogFile{{Task: "s0t0", Attempt: 1, Text: log}}},
		func(err error) { // the fold starts when this returns
			if err != nil {
				t.Errorf("Append: %v", err)
			}
			before = refsOf(t, dir)
		})
	<-folded
	release()
	after := refsOf(t, dir)
	var steps []string
	for _, name := range []string{"logs/00000", "archive/0000"} {
		steps = append(steps, "refs/velocity/"+b.ID.Store+"/"+name)
	}
	steps = append(steps, storage.NotesRef, liveRef(b.ID))
	for done := range len(steps) + 1 {
		crashed := copyRepo(t, dir)
		for _, ref := range steps[done:] {
			cli(t, crashed, "update-ref", ref, before[ref])
		}
		if done == len(steps) {
			cli(t, crashed, "update-ref", "-d", liveRef(b.ID))
		}
		_, release := acquireIn(t, crashed, nil)
		release()
		for _, ref := range steps[:2] {
			if got, want := cli(t, crashed, "rev-parse", ref+"^{tree}"), cli(t, dir, "rev-parse", after[ref]+"^{tree}"); got != want {
				t.Errorf("crash after %d refs: %s has the tree %s; want %s", done, ref, got, want)
			}
		}
		if got := cli(t, crashed, "notes", "--ref=velocity", "show", string(commits[0])); strings.Count(got, b.ID.Store) != 2 {
			t.Errorf("crash after %d refs: the note is\n%s", done, got)
		}
		if _, ok := refsOf(t, crashed)[liveRef(b.ID)]; ok {
			t.Errorf("crash after %d refs: the build is still live", done)
		}
		if n := cli(t, crashed, "rev-list", "--count", steps[1]); n != "2" {
			t.Errorf("crash after %d refs: the archive has %s commits; want one a build", done, n)
		}
		fsck(t, crashed)
	}
}

func TestDamagedRefsAreSetAside(t *testing.T) {
	dir, commits := newRepo(t, 1)
	recorded(t, dir, commits[0])
	l, release := acquireIn(t, dir, nil)
	kept, empty, garbage, gone, forged := begin(t, l, commits[0], 1), begin(t, l, commits[0], 1), begin(t, l, commits[0], 1),
		begin(t, l, commits[0], 1), begin(t, l, commits[0], 1)
	store := storeOf(t, l)
	release()
	write := func(ref, content string) {
		if err := os.WriteFile(filepath.Join(dir, ref), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(liveRef(empty.ID), "")
	write(liveRef(garbage.ID), "not a hash\n")
	write(liveRef(gone.ID), strings.Repeat("12", 20)+"\n")
	cli(t, dir, "update-ref", liveRef(forged.ID), string(commits[0]))
	cli(t, dir, "update-ref", "refs/velocity/"+store+"/live/x", string(commits[0]))

	l, release = acquireIn(t, dir, nil)
	found := strings.Join(l.Found(), "\n")
	for _, id := range []build.ID{empty.ID, garbage.ID, gone.ID, forged.ID} {
		if !strings.Contains(found, liveRef(id)) {
			t.Errorf("nothing was said of %s:\n%s", liveRef(id), found)
		}
	}
	live, err := l.Live(t.Context())
	if err != nil || len(live) != 1 || live[0].Build.ID != kept.ID {
		t.Errorf("Live() = %v, %v; want %s alone", live, err, kept.ID)
	}
	if next := begin(t, l, commits[0], 1); next.ID.Number <= forged.ID.Number {
		t.Errorf("the next build has number %d; want one never used", next.ID.Number)
	}
	release()
	fsck(t, dir)
	reason := cli(t, dir, "log", "--format=%B", "-1", fmt.Sprintf("refs/velocity/%s/quarantine/live-%010d", store, forged.ID.Number))
	if !strings.Contains(reason, "build.json") {
		t.Errorf("the quarantined build says\n%s", reason)
	}
	for _, id := range []build.ID{empty.ID, garbage.ID, gone.ID} {
		if _, err := os.Stat(filepath.Join(dir, "velocity", "corrupt", strings.ReplaceAll(liveRef(id), "/", "-"))); err != nil {
			t.Errorf("nothing was kept of %s: %v", id, err)
		}
	}
}

// A lost seq does not make numbers come back.
func TestLostSeq(t *testing.T) {
	dir, commits := newRepo(t, 1)
	ids := recorded(t, dir, commits[0], commits[0])
	if err := os.WriteFile(filepath.Join(dir, "refs/velocity", ids[0].Store, "seq"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l, _ := acquireIn(t, dir, nil)
	if id, err := l.Next(t.Context()); err != nil || id.Number != 3 {
		t.Errorf("Next() = %v, %v; want number 3", id, err)
	}
}

func TestLeftoversOfADeath(t *testing.T) {
	dir, commits := newRepo(t, 1)
	ids := recorded(t, dir, commits[0])
	old := time.Now().Add(-2 * time.Hour)
	leave := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(content), 0o644), os.Chtimes(path, old, old)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	stale := []string{
		leave("refs/velocity/"+ids[0].Store+"/live/0000000009.lock", ""),
		leave("refs/notes/velocity.lock", ""),
		leave("objects/ab/"+strings.Repeat("c", 38), ""),
		leave("objects/pack/tmp_pack_x", "part"),
		leave("objects/pack/pack-"+strings.Repeat("d", 40)+".idx", "part"),
		leave("objects/pack/pack-"+strings.Repeat("d", 40)+".keep", "velocity\n"),
	}
	fresh := leave("objects/pack/tmp_pack_y", "part")
	if now := time.Now(); os.Chtimes(fresh, now, now) != nil {
		t.Fatal("chtimes")
	}
	others := leave("refs/heads/topic.lock", "")
	leave("velocity/lock", "somebody (pid 1)\n") // never given back
	recorded(t, dir, commits[0])
	for _, path := range stale {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is still there", path)
		}
	}
	for _, path := range []string{fresh, others} {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s is gone: it may be in use", path)
		}
	}
}

func TestPoisonBlocksNoOther(t *testing.T) {
	dir, commits := newRepo(t, 1)
	s := openStore(t, dir)
	good := plan.Trigger{ID: "t2", Event: plan.EventPush, Ref: "refs/heads/main", Commit: commits[0], Received: start}
	if err := s.Accept(t.Context(), []plan.Trigger{good}); err != nil {
		t.Fatal(err)
	}
	store, _ := s.ID()
	put := func(id, content string) {
		file := filepath.Join(t.TempDir(), "record")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		cli(t, dir, "update-ref", "refs/velocity/"+store+"/inbox/"+id, cli(t, dir, "hash-object", "-w", file))
	}
	put("t1", "no JSON")
	put("t3", `{"version":1,"id":"t4","commit":"`+string(commits[0])+`","received":"2026-11-22T16:05:00Z"}`)
	put("t5", `{"version":1,"id":"t5","commit":"--upload-pack=x","received":"2026-11-22T16:05:00Z"}`)
	put("t6", `{"version":7,"id":"t6"}`)
	put("t7", strings.Repeat(" ", 1<<20+1))
	cli(t, dir, "update-ref", "refs/velocity/"+store+"/inbox/t8", string(commits[0]))
	l, _ := acquireIn(t, dir, nil)
	for range 2 {
		got, err := l.Pending(t.Context())
		if err != nil || len(got) != 1 || got[0].ID != "t2" {
			t.Errorf("Pending() = %v, %v; want t2 alone", got, err)
		}
	}
	left := cli(t, dir, "for-each-ref", "--format=%(refname:lstrip=3)", "refs/velocity/"+store+"/inbox", "refs/velocity/"+store+"/quarantine")
	if want := "inbox/t2\ninbox/t6\nquarantine/t1\nquarantine/t3\nquarantine/t5\nquarantine/t7\nquarantine/t8"; left != want {
		t.Errorf("refs are\n%s\nwant\n%s", left, want)
	}
	if got := cli(t, dir, "cat-file", "-p", "refs/velocity/"+store+"/quarantine/t1:record"); got != "no JSON" {
		t.Errorf("the quarantined record is %q", got)
	}
	fsck(t, dir)
}

func TestNewerBuildIsLeftAlone(t *testing.T) {
	dir, commits := newRepo(t, 1)
	l, release := acquireIn(t, dir, nil)
	b := begin(t, l, commits[0], 1)
	release()
	file := filepath.Join(t.TempDir(), "build.json")
	if err := os.WriteFile(file, []byte(`{"version":2}`), 0o600); err != nil {
		t.Fatal(err)
	}
	index := "GIT_INDEX_FILE=" + filepath.Join(t.TempDir(), "index")
	t.Setenv("GIT_INDEX_FILE", strings.TrimPrefix(index, "GIT_INDEX_FILE="))
	cli(t, dir, "update-index", "--add", "--cacheinfo", "100644", cli(t, dir, "hash-object", "-w", file), "build.json")
	newer := cli(t, dir, "commit-tree", "-m", "newer", cli(t, dir, "write-tree"))
	cli(t, dir, "update-ref", liveRef(b.ID), newer)
	var version *storage.VersionError
	if _, err := openStore(t, dir).Acquire(t.Context(), "test", nil); !errors.As(err, &version) {
		t.Errorf("Acquire: %v; want a *VersionError", err)
	}
	if got := cli(t, dir, "rev-parse", liveRef(b.ID)); got != newer {
		t.Errorf("the newer build was moved to %s", got)
	}
}

func TestTwoFirstWritersAgree(t *testing.T) {
	for range 20 {
		dir, commits := newRepo(t, 1)
		var group sync.WaitGroup
		for i := range 4 {
			s := openStore(t, dir)
			group.Go(func() {
				trigger := plan.Trigger{ID: fmt.Sprintf("t%d", i/2), Event: plan.EventPush, Commit: commits[0], Received: start}
				if err := s.Accept(context.Background(), []plan.Trigger{trigger}); err != nil {
					t.Errorf("Accept: %v", err)
				}
			})
		}
		group.Wait()
		var stores []string
		for ref := range refsOf(t, dir) {
			stores = append(stores, strings.Split(ref, "/")[2])
		}
		if slices.Sort(stores); len(stores) != 2 || stores[0] != stores[1] {
			t.Fatalf("two triggers went to the stores %v; want both in one", stores)
		}
	}
}

// A mirror has the refs and not our folder.
func TestMirrorGoesOnWithItsStore(t *testing.T) {
	dir, commits := newRepo(t, 1)
	ids := recorded(t, dir, commits[0])
	moved := copyRepo(t, dir)
	if err := os.RemoveAll(filepath.Join(moved, "velocity")); err != nil {
		t.Fatal(err)
	}
	l, release := acquireIn(t, moved, nil)
	if b := begin(t, l, commits[0], 1); b.ID.Store != ids[0].Store || b.ID.Number != 2 {
		t.Errorf("the first build there is %s; want it to follow %s", b.ID, ids[0])
	}
	if found := strings.Join(l.Found(), "\n"); !strings.Contains(found, "goes on with store "+ids[0].Store) {
		t.Errorf("found %q; want it said", found)
	}
	release()

	second := copyRepo(t, dir) // with the refs of two stores it starts its own
	if err := os.RemoveAll(filepath.Join(second, "velocity")); err != nil {
		t.Fatal(err)
	}
	cli(t, second, "update-ref", "refs/velocity/zzzzzz/desk", string(commits[0]))
	l, _ = acquireIn(t, second, nil)
	if id := storeOf(t, l); id == ids[0].Store || id == "zzzzzz" {
		t.Errorf("it took over %s, one of two", id)
	}
	if got, err := l.Find(t.Context(), "1"); err != nil || got != ids[0] {
		t.Errorf("Find(1) = %v, %v; want that of the other store", got, err)
	}
}
