package storage_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/git"
	"github.com/velocity-ci/velocity/storage/ledgertest"
)

func TestLedger(t *testing.T) {
	ledgertest.Run(t, func(t *testing.T, folded func(build.ID)) (ledgertest.Ledger, plan.Commit) {
		dir, commits := newRepo(t, 1)
		l, _ := acquireIn(t, dir, folded)
		return l, commits[0]
	})
}

// What a build leaves is what docs/format.md says, and git agrees.
func TestStoredFormIsGits(t *testing.T) {
	dir, commits := newRepo(t, 2)
	folded := make(chan build.ID, 9)
	l, release := acquireIn(t, dir, func(id build.ID) { folded <- id })
	b := begin(t, l, commits[0], 2)
	live := "refs/velocity/" + storeOf(t, l) + "/live/0000000001"
	if got, want := cli(t, dir, "log", "--format=%s|%an <%ae>|%(trailers:separator=%x3b)", live),
		"build "+storeOf(t, l)+"-1: test/task 1 waiting -> ready (+2 more)|Velocity <velocity@localhost>|"+
			"Velocity-Seq: 1..3;Velocity-State: building;Velocity-Writer: test epoch 1"; got != want {
		t.Errorf("git log of the live ref:\n got %s\nwant %s", got, want)
	}
	fsck(t, dir)
	finish(t, l, b)
	<-folded
	release()
	fsck(t, dir)
	refs := cli(t, dir, "for-each-ref", "--format=%(refname)", "refs/velocity", "refs/notes")
	want := strings.NewReplacer("STORE", storeOf(t, l)).Replace(
		"refs/notes/velocity\nrefs/velocity/STORE/archive/0000\nrefs/velocity/STORE/logs/00000\nrefs/velocity/STORE/seq")
	if diff := cmp.Diff(want, refs); diff != "" {
		t.Errorf("refs (-want +got):\n%s", diff)
	}
	tree := cli(t, dir, "ls-tree", "-r", "--name-only", "refs/velocity/"+storeOf(t, l)+"/archive/0000")
	if want := "00/0000000001/build.json\n00/0000000001/events.jsonl\n00/0000000001/plan.json"; tree != want {
		t.Errorf("archive holds\n%s", tree)
	}
	if logs := cli(t, dir, "ls-tree", "-r", "--name-only", "refs/velocity/"+storeOf(t, l)+"/logs/00000"); logs !=
		"00/0000000001/s0t0.1.times\n00/0000000001/s0t0.1.txt" {
		t.Errorf("logs hold\n%s", logs)
	}
	if seq := cli(t, dir, "cat-file", "-p", "refs/velocity/"+storeOf(t, l)+"/seq"); seq != "2" {
		t.Errorf("seq after Release is %q; want 2, the numbers not used given back", seq)
	}
	note := "velocity/1 " + storeOf(t, l) + `-0000000001 default: succeeded push refs/heads/main 2/2 8s 2026-11-22T16:05:08Z ""`
	if got := cli(t, dir, "log", "--notes=velocity", "-1", "--format=%N", string(commits[0])); strings.TrimSpace(got) != note {
		t.Errorf("git log --notes=velocity:\n got %s\nwant %s", got, note)
	}
}

func TestReadersSeeLiveAndArchived(t *testing.T) {
	dir, commits := newRepo(t, 2)
	ids := recorded(t, dir, commits[0], commits[1], commits[1])
	l, _ := acquireIn(t, dir, nil)
	running := begin(t, l, commits[0], 1)
	if running.ID.Number != 4 {
		t.Errorf("the build after a release has number %d; want 4", running.ID.Number)
	}
	s := openStore(t, dir)
	for _, c := range []struct {
		q    storage.Query
		want []int64
	}{
		{storage.Query{}, []int64{4, 3, 2, 1}},
		{storage.Query{Limit: 2}, []int64{4, 3}},
		{storage.Query{Before: ids[2]}, []int64{2, 1}},
		{storage.Query{Commit: commits[0]}, []int64{4, 1}},
		{storage.Query{State: build.Building}, []int64{4}},
		{storage.Query{State: build.Succeeded, Limit: 1}, []int64{3}},
		{storage.Query{Ref: "refs/heads/other"}, nil},
		{storage.Query{Name: "default", Ref: "refs/heads/main", Limit: 3}, []int64{4, 3, 2}},
	} {
		builds, err := s.Builds(t.Context(), c.q)
		var got []int64
		for _, b := range builds {
			got = append(got, b.ID.Number)
		}
		if err != nil || !cmp.Equal(got, c.want) {
			t.Errorf("Builds(%+v) = %v, %v; want %v", c.q, got, err, c.want)
		}
	}
	for text, want := range map[string]int64{
		running.ID.String(): 4, "2": 2, string(commits[1]): 3, string(commits[1])[:10]: 3, string(commits[0]): 4, "main": 3,
	} {
		if got, err := s.Find(t.Context(), text); err != nil || got.Number != want {
			t.Errorf("Find(%q) = %v, %v; want number %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "99", "k3f9a2-1", storeOf(t, l) + "-99", strings.Repeat("0", 39) + "1", "--all", "no such"} {
		if got, err := s.Find(t.Context(), text); !errors.Is(err, storage.ErrNoBuild) {
			t.Errorf("Find(%q) = %v, %v; want ErrNoBuild", text, got, err)
		}
	}
	text, times, err := s.Log(t.Context(), ids[1], "s0t0", 1)
	if want := ids[1].String() + "\n"; err != nil || string(text) != want || string(times) != want {
		t.Errorf("Log = %q, %q, %v; want %q twice", text, times, err, want)
	}
	for _, id := range []build.ID{ids[1], running.ID} {
		if _, _, err := s.Log(t.Context(), id, "s0t0", 7); !errors.Is(err, storage.ErrNoLog) {
			t.Errorf("Log of attempt 7 of %s: %v; want ErrNoLog", id, err)
		}
		if p, err := s.Plan(t.Context(), id); err != nil || p == nil {
			t.Errorf("Plan(%s) = %v, %v", id, p, err)
		}
	}
}

func TestLogOfLiveBuild(t *testing.T) {
	dir, commits := newRepo(t, 1)
	l, _ := acquireIn(t, dir, nil)
	b := begin(t, l, commits[0], 2)
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, []byte("so far\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var moves []build.Move
	for _, on := range []build.Kind{build.Assign, build.Fail} {
		made, err := b.Do(build.Move{Kind: on, Task: "s0t1", At: start})
		if err != nil {
			t.Fatal(err)
		}
		moves = append(moves, made...)
	}
	ledgertest.Record(t, l, build.Change{Build: b.Clone(), Moves: moves, Logs: []build.LogFile{{Task: "s0t1", Attempt: 1, Text: log}}})
	text, times, err := l.Log(t.Context(), b.ID, "s0t1", 1)
	if err != nil || string(text) != "so far\n" || times != nil {
		t.Errorf("Log = %q, %q, %v", text, times, err)
	}
}

// A log of more than one object reads as if it were one, live and archived.
func TestLongLog(t *testing.T) {
	dir, commits := newRepo(t, 1)
	folded := make(chan build.ID, 1)
	l, _ := acquireIn(t, dir, func(id build.ID) { folded <- id })
	b := begin(t, l, commits[0], 2)
	var want []byte
	for i := range 30_000 {
		want = fmt.Appendf(want, "%099d\n", i)
	}
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, want, 0o600); err != nil {
		t.Fatal(err)
	}
	read := func() {
		t.Helper()
		text, times, err := l.Log(t.Context(), b.ID, "s0t0", 1)
		if err != nil || !bytes.Equal(text, want) || !bytes.Equal(times, want) {
			t.Errorf("Log = %d and %d bytes, %v; want twice %d", len(text), len(times), err, len(want))
		}
		size := int64(len(want))
		for _, at := range []struct{ offset, limit int64 }{
			{0, 10}, {0, 0}, {1<<20 - 50, 100}, {1 << 20, 1}, {500_000, 2 << 20}, {0, size}, {0, 2 * size}, {size - 5, 10}, {size, 10}, {2 * size, 10},
		} {
			want := want[min(at.offset, size):min(at.offset+at.limit, size)]
			if got, err := l.LogFrom(t.Context(), b.ID, "s0t0", 1, at.offset, at.limit); err != nil || !bytes.Equal(got, want) {
				t.Errorf("LogFrom %d at most %d = %d bytes, %v; want %d", at.offset, at.limit, len(got), err, len(want))
			}
		}
		if _, err := l.LogFrom(t.Context(), b.ID, "s0t1", 1, 0, 10); !errors.Is(err, storage.ErrNoLog) {
			t.Errorf("LogFrom of a task without a log: %v; want ErrNoLog", err)
		}
	}
	ledgertest.Record(t, l, build.Change{Build: b.Clone(), Logs: []build.LogFile{{Task: "s0t0", Attempt: 1, Text: log, Times: log}}})
	read()
	ledgertest.Record(t, l, build.Change{Moves: ledgertest.End(t, b), Build: b.Clone()})
	<-folded
	read()
	ref := fmt.Sprintf("refs/velocity/%s/logs/00000", b.ID.Store)
	for _, line := range strings.Split(cli(t, dir, "ls-tree", "-r", "-l", ref), "\n") {
		if size, err := strconv.Atoi(strings.Fields(line)[3]); err != nil || size > 1<<20 {
			t.Errorf("%s: larger than a part, %v", line, err)
		}
	}
}

func TestOneWriter(t *testing.T) {
	dir, commits := newRepo(t, 1)
	_, release := acquireIn(t, dir, nil)
	var held *storage.HeldError
	if _, err := openStore(t, dir).Acquire(t.Context(), "second", nil); !errors.As(err, &held) || !strings.HasPrefix(held.Holder, "test (pid ") {
		t.Errorf("Acquire while held: %v; want a *HeldError that names the holder", err)
	}
	release()
	l, _ := acquireIn(t, dir, nil)
	if len(l.Found()) != 0 {
		t.Errorf("the second writer found %q; want nothing", l.Found())
	}
	b := begin(t, l, commits[0], 1)
	if got := cli(t, dir, "log", "-1", "--format=%(trailers:key=Velocity-Writer,valueonly)", liveRef(b.ID)); !strings.HasPrefix(got, "test epoch 2") {
		t.Errorf("the second writer signs as %q; want epoch 2", got)
	}
}

func TestAppendAfterRelease(t *testing.T) {
	dir, _ := newRepo(t, 1)
	l, release := acquireIn(t, dir, nil)
	release()
	done := make(chan error)
	l.Append(build.Change{}, func(err error) { done <- err })
	if err := <-done; err == nil {
		t.Error("Append after Release succeeded")
	}
}

// A writer that finds a ref where it did not leave it stops: it is not alone.
func TestSecondWriterStopsTheFirst(t *testing.T) {
	dir, commits := newRepo(t, 1)
	l, _ := acquireIn(t, dir, nil)
	b := begin(t, l, commits[0], 1)
	cli(t, dir, "update-ref", liveRef(b.ID), string(commits[0]))
	moves, err := b.Do(build.Move{Kind: build.Canceling, At: start})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		done := make(chan error, 1)
		l.Append(build.Change{Build: b.Clone(), Moves: moves}, func(err error) { done <- err })
		if err := <-done; !errors.Is(err, git.ErrRefMoved) {
			t.Errorf("Append: %v; want ErrRefMoved, now and ever after", err)
		}
	}
	if got := cli(t, dir, "rev-parse", liveRef(b.ID)); got != string(commits[0]) {
		t.Errorf("the ref was overwritten: %s", got)
	}
}

// Notes belong to everybody: one that is added meanwhile is kept.
func TestFoldKeepsNotesOfOthers(t *testing.T) {
	dir, commits := newRepo(t, 1)
	cli(t, dir, "notes", "--ref=velocity", "add", "-m", "looks good", string(commits[0]))
	recorded(t, dir, commits[0])
	cli(t, dir, "notes", "--ref=velocity", "append", "-m", "still does", string(commits[0]))
	recorded(t, dir, commits[0])
	note := cli(t, dir, "notes", "--ref=velocity", "show", string(commits[0]))
	if !strings.Contains(note, "looks good") || !strings.Contains(note, "still does") || strings.Count(note, "velocity/1 ") != 2 {
		t.Errorf("the note is\n%s", note)
	}
}

func TestBuildOfATag(t *testing.T) {
	dir, commits := newRepo(t, 1)
	cli(t, dir, "tag", "-a", "-m", "one", "v1", string(commits[0]))
	ids := recorded(t, dir, plan.Commit(cli(t, dir, "rev-parse", "v1")))
	s := openStore(t, dir)
	if known, err := s.OfCommit(t.Context(), commits[0]); err != nil || len(known) != 1 || known[0].ID != ids[0] {
		t.Errorf("OfCommit() = %v, %v; want %v", known, err, ids[0])
	}
	if got, err := s.Find(t.Context(), "v1"); err != nil || got != ids[0] {
		t.Errorf("Find(v1) = %v, %v; want %v", got, err, ids[0])
	}
}

// Anybody can write a note; only what is stored here counts.
func TestForgedNoteIsNoBuild(t *testing.T) {
	dir, commits := newRepo(t, 2)
	ids := recorded(t, dir, commits[0])
	forged := storage.Note{ID: ids[0], Name: "default", State: build.Succeeded, Event: plan.EventPush, Finished: start}
	elsewhere := forged
	elsewhere.ID.Store = "zzzzzz"
	cli(t, dir, "notes", "--ref=velocity", "add", "-m", forged.String()+"\n"+elsewhere.String(), string(commits[1]))
	if known, err := openStore(t, dir).OfCommit(t.Context(), commits[1]); err != nil || len(known) != 0 {
		t.Errorf("OfCommit() = %v, %v; want none", known, err)
	}
}

// TestNotesOverwritten: "git notes" by a person reads, and then replaces the ref
// whatever it is by then. The next thing that happens brings the line back.
func TestNotesOverwritten(t *testing.T) {
	dir, commits := newRepo(t, 2)
	recorded(t, dir, commits[0])
	folded := make(chan build.ID, 2)
	l, release := acquireIn(t, dir, func(id build.ID) { folded <- id })
	cli(t, dir, "notes", "--ref=velocity", "append", "-m", "by a person", string(commits[1]))
	read := cli(t, dir, "rev-parse", storage.NotesRef)
	finish(t, l, begin(t, l, commits[1], 1))
	<-folded
	for _, after := range []func(){func() { finish(t, l, begin(t, l, commits[0], 1)); <-folded }, release} {
		cli(t, dir, "update-ref", storage.NotesRef, read)
		after()
		note := cli(t, dir, "notes", "--ref=velocity", "show", string(commits[1]))
		if n := strings.Count(note, "velocity/1 "); n != 1 || !strings.Contains(note, "by a person") {
			t.Errorf("the note after somebody overwrote it:\n%s", note)
		}
	}
	fsck(t, dir)
}
