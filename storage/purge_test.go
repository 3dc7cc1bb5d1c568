package storage_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/ledgertest"
)

// told records a finished build of c that printed text.
func told(t *testing.T, dir string, c plan.Commit, text string) build.ID {
	t.Helper()
	folded := make(chan build.ID, 1)
	l, release := acquireIn(t, dir, func(id build.ID) { folded <- id })
	b := begin(t, l, c, 1)
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	moves := ledgertest.End(t, b)
	ledgertest.Record(t, l, build.Change{Build: b.Clone(), Moves: moves, Logs: []build.LogFile{{Task: "s0t0", Attempt: 1, Text: log}}})
	<-folded
	release()
	return b.ID
}

// allText is the content of every object in the repository, reachable or not.
func allText(t *testing.T, dir string) string {
	t.Helper()
	return cli(t, dir, "cat-file", "--batch-all-objects", "--batch", "--buffer")
}

func purge(t *testing.T, dir string, id build.ID) (storage.Purged, error) {
	t.Helper()
	l, release := acquireIn(t, dir, nil)
	defer release()
	return l.Purge(context.Background(), id)
}

// A secret that a build printed is nowhere afterwards, however the repository
// keeps its objects, and the other builds are as they were.
func TestPurgeLeavesNoTrace(t *testing.T) {
	forms := map[string]func(t *testing.T, dir string) string{
		"as written": func(_ *testing.T, dir string) string { return dir },
		"after gc": func(t *testing.T, dir string) string {
			cli(t, dir, "gc", "--quiet")
			return dir
		},
		"mirrored": func(t *testing.T, dir string) string {
			mirror := filepath.Join(t.TempDir(), "mirror.git")
			if out, err := exec.Command("git", "clone", "-q", "--mirror", "--no-hardlinks", dir, mirror).CombinedOutput(); err != nil {
				t.Fatalf("git clone: %v\n%s", err, out)
			}
			return mirror
		},
		"packed by its owner": func(t *testing.T, dir string) string {
			marks, err := filepath.Glob(filepath.Join(dir, "objects/pack/*.keep"))
			if err != nil {
				t.Fatal(err)
			}
			for _, mark := range marks {
				if err := os.Remove(mark); err != nil {
					t.Fatal(err)
				}
			}
			cli(t, dir, "repack", "-adkq")
			cli(t, dir, "commit-graph", "write", "--reachable")
			return dir
		},
	}
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			dir, commits := newRepo(t, 2)
			var ids []build.ID
			for i := range 4 {
				ids = append(ids, told(t, dir, commits[i%2], fmt.Sprintf("canary-%d\n", i)))
			}
			dir = form(t, dir)
			if !strings.Contains(allText(t, dir), "canary-1") {
				t.Fatal("the secret is not there before: the test proves nothing")
			}
			done, err := purge(t, dir, ids[1])
			if err != nil || done.Objects == 0 || done.Bytes <= 0 || len(done.Kept)+len(done.Shared)+len(done.Copies) > 0 {
				t.Fatalf("%+v, %v", done, err)
			}
			text := allText(t, dir)
			for _, trace := range []string{"canary-1", fmt.Sprintf("%s-%010d", ids[1].Store, ids[1].Number), fmt.Sprintf(`"id":"%s"`, ids[1])} {
				if strings.Contains(text, trace) {
					t.Errorf("%s is still in an object", trace)
				}
			}
			s := openStore(t, dir)
			for i, id := range ids {
				b, _, err := s.Build(context.Background(), id)
				if i == 1 {
					if !errors.Is(err, storage.ErrNoBuild) {
						t.Errorf("the purged build: %v, %v", b, err)
					}
					continue
				}
				log, _, logErr := s.Log(context.Background(), id, "s0t0", 1)
				if err != nil || logErr != nil || string(log) != fmt.Sprintf("canary-%d\n", i) {
					t.Errorf("build %s: %q, %v, %v", id, log, err, logErr)
				}
			}
			known, err := s.OfCommit(context.Background(), commits[1])
			if err != nil || len(known) != 1 || known[0].ID != ids[3] {
				t.Errorf("builds of the commit: %v, %v", known, err)
			}
			fsck(t, dir)
			if next := told(t, dir, commits[1], "later"); next.Number <= ids[3].Number {
				t.Errorf("number %d was given out again", next.Number)
			}
			if got := cli(t, dir, "show", "refs/velocity/"+ids[1].Store+"/desk:purged.json"); !strings.Contains(got, ids[1].String()) {
				t.Errorf("the desk has %s", got)
			}
		})
	}
}

// The desk's later commits keep the list of what was purged.
func TestTipsKeepWhatWasPurged(t *testing.T) {
	dir, commits := newRepo(t, 1)
	ids := []build.ID{told(t, dir, commits[0], "one"), told(t, dir, commits[0], "two")}
	tips := map[string]plan.Commit{"refs/heads/main": commits[0]}
	l, release := acquireIn(t, dir, nil)
	for i, id := range ids {
		ledgertest.Record(t, l, build.Change{Tips: map[string]plan.Commit{fmt.Sprint("refs/heads/", i): commits[0]}})
		tips[fmt.Sprint("refs/heads/", i)] = commits[0]
		if _, err := l.Purge(context.Background(), id); err != nil {
			t.Fatal(err)
		}
		ledgertest.Record(t, l, build.Change{Tips: map[string]plan.Commit{"refs/heads/main": commits[0]}})
	}
	release()
	got := cli(t, dir, "show", "refs/velocity/"+ids[0].Store+"/desk:purged.json")
	if !strings.Contains(got, ids[0].String()+`"`) || !strings.Contains(got, ids[1].String()+`"`) {
		t.Errorf("the desk has %s", got)
	}
	kept, known, err := openStore(t, dir).Tips(context.Background())
	if diff := cmp.Diff(tips, kept); diff != "" || !known || err != nil {
		t.Errorf("tips: %v, %v, %s", known, err, diff)
	}
}

// What cannot go is named.
func TestPurgeNamesWhatStays(t *testing.T) {
	dir, commits := newRepo(t, 1)
	ids := []build.ID{told(t, dir, commits[0], "the same"), told(t, dir, commits[0], "the same")}
	copied := fmt.Sprintf("refs/velocity/remotes/origin/%s/archive/0000", ids[0].Store)
	cli(t, dir, "update-ref", copied, cli(t, dir, "rev-parse", "refs/velocity/"+ids[0].Store+"/archive/0000"))
	cli(t, dir, "update-ref", "refs/velocity/remotes/origin/notes", cli(t, dir, "rev-parse", "refs/notes/velocity"))
	done, err := purge(t, dir, ids[0])
	want := []string{copied, "refs/velocity/remotes/origin/notes"}
	slices.Sort(want)
	if err != nil || !cmp.Equal(done.Copies, want) || !cmp.Equal(done.Shared, []string{"s0t0.1.txt"}) {
		t.Errorf("%+v, %v", done, err)
	}
}

// Two logs whose lines came after the same times have nothing to hide in that.
func TestPurgeDoesNotMindEqualTimes(t *testing.T) {
	dir, commits := newRepo(t, 1)
	folded := make(chan build.ID, 2)
	l, release := acquireIn(t, dir, func(id build.ID) { folded <- id })
	times := filepath.Join(t.TempDir(), "times")
	if err := os.WriteFile(times, []byte("0.001\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one\n", "two\n"} {
		b := begin(t, l, commits[0], 1)
		log := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		moves := ledgertest.End(t, b)
		ledgertest.Record(t, l, build.Change{Build: b.Clone(), Moves: moves, Logs: []build.LogFile{{Task: "s0t0", Attempt: 1, Text: log, Times: times}}})
	}
	id := <-folded
	<-folded
	release()
	if done, err := purge(t, dir, id); err != nil || len(done.Shared) > 0 {
		t.Errorf("%+v, %v", done, err)
	}
}

func TestPurgeRefuses(t *testing.T) {
	dir, commits := newRepo(t, 1)
	l, release := acquireIn(t, dir, nil)
	b := begin(t, l, commits[0], 1)
	if _, err := l.Purge(context.Background(), b.ID); !errors.Is(err, storage.ErrUnfinished) {
		t.Errorf("a live build: %v", err)
	}
	if _, err := l.Purge(context.Background(), build.ID{Store: b.ID.Store, Number: 99}); !errors.Is(err, storage.ErrNoBuild) {
		t.Errorf("a build that never was: %v", err)
	}
	release()
	if _, err := purge(t, dir, b.ID); !errors.Is(err, storage.ErrUnfinished) {
		t.Errorf("a live build: %v", err)
	}
}

// A purge of which any part is done is completed by the next: remnants are
// enough to know what is meant.
func TestPurgeOfRemnants(t *testing.T) {
	for _, gone := range []string{"archive/0000", "logs/00000", "notes", "archive/0000 logs/00000"} {
		t.Run(gone, func(t *testing.T) {
			dir, commits := newRepo(t, 1)
			id := told(t, dir, commits[0], "canary")
			for name := range strings.FieldsSeq(gone) {
				ref := "refs/velocity/" + id.Store + "/" + name
				if name == "notes" {
					ref = "refs/notes/velocity"
				}
				cli(t, dir, "update-ref", "-d", ref)
			}
			found, err := openStore(t, dir).FindToPurge(context.Background(), fmt.Sprint(id.Number))
			if err != nil || found != id {
				t.Fatalf("found %v, %v", found, err)
			}
			for range 2 { // the second time nothing is left, and that is fine
				if _, err := purge(t, dir, id); err != nil {
					t.Fatal(err)
				}
			}
			if strings.Contains(allText(t, dir), "canary") {
				t.Error("the log is still there")
			}
			if strings.Contains(allText(t, dir), "velocity/1 "+id.Store) {
				t.Error("the note is still there")
			}
			fsck(t, dir)
		})
	}
}

// The number of a purged build names it for ever, also when nothing else of it is
// left and seq is lost.
func TestPurgedNumberStaysTaken(t *testing.T) {
	dir, commits := newRepo(t, 1)
	id := recorded(t, dir, commits[0])[0]
	l, release := acquireIn(t, dir, nil)
	if _, err := l.Purge(context.Background(), id); err != nil {
		t.Fatal(err)
	}
	release()
	cli(t, dir, "update-ref", "-d", "refs/velocity/"+id.Store+"/seq")
	l, _ = acquireIn(t, dir, nil)
	if next, err := l.Next(t.Context()); err != nil || next.Number != id.Number+1 {
		t.Errorf("Next = %s, %v; want a number after %s", next, err, id)
	}
}
