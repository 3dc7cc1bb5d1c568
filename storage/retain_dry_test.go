package storage_test

import (
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/git"
	"github.com/velocity-ci/velocity/storage/ledgertest"
)

// What a dry run tells is what a run then takes away, by what is in git before and
// after, whatever the bounds are.
func TestDryRunTellsWhatARunDrops(t *testing.T) {
	base := unevenBuilds(t)
	copies := t.TempDir()
	bound := rapid.Custom(func(t *rapid.T) storage.Bound {
		return storage.Bound{
			Age:   time.Duration(rapid.IntRange(0, 12).Draw(t, "hours")) * time.Hour,
			Bytes: rapid.Int64Range(0, 1500).Draw(t, "bytes"),
			Count: rapid.IntRange(0, 10).Draw(t, "count"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		keep := storage.Retention{Logs: bound.Draw(t, "logs"), Builds: bound.Draw(t, "builds")}
		dir, err := os.MkdirTemp(copies, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		if err := os.CopyFS(dir, os.DirFS(base)); err != nil {
			t.Fatal(err)
		}
		told, went, err := dryAndReal(dir, keep)
		if diff := cmp.Diff(told, went); diff != "" || err != nil {
			t.Errorf("told and gone: %v, %s", err, diff)
		}
	})
}

// dryAndReal is what a dry run tells, and what is gone after a run.
func dryAndReal(dir string, keep storage.Retention) (told, went storage.Dropped, err error) {
	repo, err := git.Open(context.Background(), dir)
	if err != nil {
		return told, went, err
	}
	s := storage.Open(repo, func() time.Time { return start.Add(13 * time.Hour) })
	if told, err = s.PlanRetention(context.Background(), keep); err != nil {
		return told, went, err
	}
	before, err := present(repo)
	if err != nil {
		return told, went, err
	}
	l, err := s.Acquire(context.Background(), "test", nil)
	if err != nil {
		return told, went, err
	}
	_, err = l.Retain(context.Background(), keep)
	if err = errors.Join(err, l.Release(context.Background())); err != nil {
		return told, went, err
	}
	after, err := present(repo)
	return told, storage.Dropped{
		Builds: before.Builds - after.Builds, LogsOf: before.LogsOf - after.LogsOf,
		Files: before.Files - after.Files, Bytes: before.Bytes - after.Bytes,
	}, err
}

// present counts what the refs of a repository hold: builds, and their logs.
func present(repo *git.Repository) (is storage.Dropped, err error) {
	refs, _, err := repo.Refs("refs/velocity/")
	if err != nil {
		return is, err
	}
	with := map[string]bool{} // folders of builds that have logs
	for _, ref := range refs {
		archive, logs := strings.Contains(ref.Name, "/archive/"), strings.Contains(ref.Name, "/logs/")
		if !archive && !logs {
			continue
		}
		files, err := repo.Walk(ref.Hash, "", 1000)
		if err != nil {
			return is, err
		}
		for _, f := range files {
			switch {
			case archive && path.Base(f.Name) == "build.json":
				is.Builds++
			case logs:
				size, err := repo.BlobSize(f.Hash)
				if err != nil {
					return is, err
				}
				with[ref.Name+path.Dir(f.Name)] = true
				is.Files++
				is.Bytes += size
			}
		}
	}
	is.LogsOf = len(with)
	return is, nil
}

// unevenBuilds records builds in three blocks of the archive, an hour apart, each
// with a longer log than the one before, and some without any.
func unevenBuilds(t *testing.T) (dir string) {
	t.Helper()
	dir, commits := newRepo(t, 1)
	text := filepath.Join(t.TempDir(), "log")
	for i, n := range []int{1, 2, 3, 9999, 10000, 10001, 10002, 20000, 20001} {
		if store, err := openStore(t, dir).ID(); err == nil && store != "" {
			numberFrom(t, dir, store, n)
		}
		if err := os.WriteFile(text, []byte(strings.Repeat("x", 50*(i+1))), 0o600); err != nil {
			t.Fatal(err)
		}
		var logs []build.LogFile
		if i%4 != 2 {
			logs = []build.LogFile{{Task: "s0t0", Attempt: 1, Text: text}}
		}
		folded := make(chan build.ID, 1)
		l, release := acquireIn(t, dir, func(id build.ID) { folded <- id })
		b := begin(t, l, commits[0], 1)
		var moves []build.Move
		for _, on := range []build.Kind{build.Assign, build.Begin, build.Succeed} {
			made, err := b.Do(build.Move{Kind: on, Task: plan.Key(0, 0), Builder: "b1", At: start.Add(time.Duration(i) * time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			moves = append(moves, made...)
		}
		ledgertest.Record(t, l, build.Change{Build: b.Clone(), Moves: moves, Logs: logs})
		<-folded
		release()
	}
	return dir
}
