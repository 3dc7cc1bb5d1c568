package storage_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/git"
)

// numberFrom makes n the next number that is given out.
func numberFrom(t *testing.T, dir, store string, n int) {
	t.Helper()
	c := exec.Command("git", "--git-dir="+dir, "hash-object", "-w", "--stdin")
	c.Stdin = strings.NewReader(fmt.Sprintln(n))
	blob, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	cli(t, dir, "update-ref", "refs/velocity/"+store+"/seq", strings.TrimSpace(string(blob)))
}

// yearOfBuilds records five builds with logs of 100 bytes: numbers 1 and 2, 9999,
// 10000 and 20000. All finished at about the same time.
func yearOfBuilds(t *testing.T) (dir string, ids []build.ID) {
	t.Helper()
	dir, commits := newRepo(t, 1)
	return dir, numbered(t, dir, commits[0], 1, 2, 9999, 10000, 20000)
}

// numbered records builds with these numbers.
func numbered(t *testing.T, dir string, c plan.Commit, numbers ...int) (ids []build.ID) {
	t.Helper()
	for _, n := range numbers {
		if store, err := openStore(t, dir).ID(); err == nil && store != "" {
			numberFrom(t, dir, store, n)
		}
		ids = append(ids, told(t, dir, c, fmt.Sprintf("canary-%05d %s", n, strings.Repeat("x", 87))))
	}
	return ids
}

// at is the store at a time after the builds finished.
func at(t *testing.T, dir string, later time.Duration) *storage.Store {
	t.Helper()
	repo, err := git.Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return storage.Open(repo, func() time.Time { return start.Add(later) })
}

func TestRetain(t *testing.T) {
	day := 24 * time.Hour
	for name, c := range map[string]struct {
		keep   storage.Retention
		later  time.Duration
		want   storage.Dropped
		logs   []int64 // numbers whose logs stay
		builds []int64
	}{
		"for ever":        {later: 1000 * day, logs: []int64{1, 2, 9999, 10000, 20000}, builds: []int64{1, 2, 9999, 10000, 20000}},
		"young logs":      {keep: storage.Retention{Logs: storage.Bound{Age: day}}, later: time.Hour, logs: []int64{1, 2, 9999, 10000, 20000}, builds: []int64{1, 2, 9999, 10000, 20000}},
		"old logs":        {keep: storage.Retention{Logs: storage.Bound{Age: day}}, later: 2 * day, want: storage.Dropped{LogsOf: 5, Files: 5, Bytes: 500}, builds: []int64{1, 2, 9999, 10000, 20000}},
		"two logs":        {keep: storage.Retention{Logs: storage.Bound{Count: 2}}, want: storage.Dropped{LogsOf: 3, Files: 3, Bytes: 300}, logs: []int64{10000, 20000}, builds: []int64{1, 2, 9999, 10000, 20000}},
		"350 bytes":       {keep: storage.Retention{Logs: storage.Bound{Bytes: 350}}, want: storage.Dropped{LogsOf: 2, Files: 2, Bytes: 200}, logs: []int64{9999, 10000, 20000}, builds: []int64{1, 2, 9999, 10000, 20000}},
		"one build":       {keep: storage.Retention{Builds: storage.Bound{Count: 1}}, want: storage.Dropped{Builds: 4, LogsOf: 4, Files: 4, Bytes: 400}, logs: []int64{20000}, builds: []int64{20000}},
		"two builds":      {keep: storage.Retention{Builds: storage.Bound{Count: 2}}, want: storage.Dropped{Builds: 3, LogsOf: 3, Files: 3, Bytes: 300}, logs: []int64{10000, 20000}, builds: []int64{10000, 20000}},
		"a byte of state": {keep: storage.Retention{Builds: storage.Bound{Bytes: 1}}, want: storage.Dropped{Builds: 4, LogsOf: 4, Files: 4, Bytes: 400}, logs: []int64{20000}, builds: []int64{20000}},
		"old builds":      {keep: storage.Retention{Builds: storage.Bound{Age: day}}, later: 2 * day, want: storage.Dropped{Builds: 4, LogsOf: 4, Files: 4, Bytes: 400}, logs: []int64{20000}, builds: []int64{20000}},
		"young builds":    {keep: storage.Retention{Builds: storage.Bound{Age: day}}, later: time.Hour, logs: []int64{1, 2, 9999, 10000, 20000}, builds: []int64{1, 2, 9999, 10000, 20000}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, ids := yearOfBuilds(t)
			s := at(t, dir, c.later)
			planned, err := s.PlanRetention(context.Background(), c.keep)
			if diff := cmp.Diff(c.want, planned); diff != "" || err != nil {
				t.Errorf("planned: %v, %s", err, diff)
			}
			l, err := s.Acquire(context.Background(), "test", nil)
			if err != nil {
				t.Fatal(err)
			}
			done, err := l.Retain(context.Background(), c.keep)
			if diff := cmp.Diff(c.want, done); diff != "" || err != nil {
				t.Errorf("done: %v, %s", err, diff)
			}
			if err := errors.Join(l.Collect(context.Background()), l.Release(context.Background())); err != nil {
				t.Fatal(err)
			}
			logs, builds, objects := left(t, dir, ids)
			if diff := cmp.Diff(c.logs, logs) + cmp.Diff(c.builds, builds) + cmp.Diff(c.logs, objects); diff != "" {
				t.Errorf("left: %s", diff)
			}
			fsck(t, dir)
			if got := strings.Count(cli(t, dir, "log", "-1", "--notes=velocity", "--format=%N", "main"), "velocity/1 "); got != len(ids) {
				t.Errorf("%d lines in the note, want %d", got, len(ids))
			}
			if again, err := at(t, dir, c.later).PlanRetention(context.Background(), c.keep); !again.Nothing() || err != nil {
				t.Errorf("again: %+v, %v", again, err)
			}
		})
	}
}

// left are the numbers of builds with logs, with a record, and with a log in any
// object.
func left(t *testing.T, dir string, ids []build.ID) (logs, builds, objects []int64) {
	t.Helper()
	s, text := openStore(t, dir), allText(t, dir)
	for _, id := range ids {
		if _, _, err := s.Log(context.Background(), id, "s0t0", 1); err == nil {
			logs = append(logs, id.Number)
		} else if !errors.Is(err, storage.ErrNoLog) {
			t.Error(err)
		}
		if _, _, err := s.Build(context.Background(), id); err == nil {
			builds = append(builds, id.Number)
		} else if !errors.Is(err, storage.ErrNoBuild) {
			t.Error(err)
		}
		if strings.Contains(text, fmt.Sprintf("canary-%05d", id.Number)) {
			objects = append(objects, id.Number)
		}
	}
	return logs, builds, objects
}

// A live build keeps its block, and a record that cannot be read its logs.
func TestRetainKeepsWhatIsNotKnownToBeOld(t *testing.T) {
	dir, commits := newRepo(t, 1)
	ids := numbered(t, dir, commits[0], 1, 2, 9999, 10000)
	store := ids[0].Store
	archive := "refs/velocity/" + store + "/archive/0000"
	l, release := acquireIn(t, dir, nil)
	live := begin(t, l, commits[0], 1)
	release()
	numbered(t, dir, commits[0], 20000)
	if live.ID.Number != 10001 {
		t.Fatalf("live is %s", live.ID)
	}
	spoilRecord(t, dir, archive, "00/0000000002")
	keep := storage.Retention{Logs: storage.Bound{Age: time.Hour}, Builds: storage.Bound{Age: time.Hour}}
	s := at(t, dir, 48*time.Hour)
	l, err := s.Acquire(context.Background(), "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	done, err := l.Retain(context.Background(), keep)
	if err := errors.Join(err, l.Release(context.Background())); err != nil {
		t.Fatal(err)
	}
	if done.Builds != 0 || done.LogsOf != 4 || len(done.Unreadable) != 1 || !strings.Contains(done.Unreadable[0], ids[1].String()) {
		t.Errorf("%+v", done)
	}
	if got := cli(t, dir, "ls-tree", "-r", "--name-only", "refs/velocity/"+store+"/logs/00000"); got != "00/0000000002/s0t0.1.txt" {
		t.Errorf("logs that are left: %s", got)
	}
}

// spoil commits a tree in which a build's record is empty.
func spoilRecord(t *testing.T, dir, ref, place string) {
	t.Helper()
	repo, err := git.Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	head, err := repo.Ref(ref)
	if err != nil {
		t.Fatal(err)
	}
	c, err := repo.Commit(head)
	if err != nil {
		t.Fatal(err)
	}
	b := repo.NewBatch()
	tree, err := b.EditTree(c.Tree, []git.TreeEdit{{Path: place + "/build.json", Mode: git.ModeFile, Hash: b.Blob(nil)}})
	if err != nil {
		t.Fatal(err)
	}
	next := b.Commit(git.CommitSpec{Tree: tree, Parents: []git.Hash{head}, Name: "A", Email: "a@example.org", When: start})
	if err := repo.Write(context.Background(), b, []git.RefUpdate{{Name: ref, Old: head, New: next}}); err != nil {
		t.Fatal(err)
	}
}
