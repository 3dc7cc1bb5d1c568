package storage_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/ledgertest"
)

// notices makes n moves of b, a change each.
func notices(tb testing.TB, b *build.Build, n int) []build.Change {
	changes := make([]build.Change, n)
	for i := range changes {
		moves, err := b.Do(build.Move{Kind: build.Notice, Reason: fmt.Sprint(i), At: start})
		if err != nil {
			tb.Fatal(err)
		}
		if len(b.Notices) > 50 {
			b.Notices = nil // what is measured shall not grow
		}
		changes[i] = build.Change{Build: b.Clone(), Moves: moves}
	}
	return changes
}

// BenchmarkAppend measures a durable move: alone, in batches of one build, and of
// 64 builds that wait for each of theirs; beside what git itself takes.
func BenchmarkAppend(b *testing.B) {
	b.Run("alone", func(b *testing.B) { benchmarkAppend(b, 1, 1) })
	b.Run("batches of 100", func(b *testing.B) { benchmarkAppend(b, 1, 100) })
	b.Run("64 builds", func(b *testing.B) { benchmarkAppend(b, 64, 1) })
	b.Run("git", benchmarkGit)
}

// benchmarkAppend lets each of some builds have inFlight changes on their way.
func benchmarkAppend(b *testing.B, builds, inFlight int) {
	dir, commits := newRepo(b, 1)
	l, _ := acquireIn(b, dir, nil)
	each := b.N/builds + 1
	var made [][]build.Change
	for range builds {
		made = append(made, notices(b, begin(b, l, commits[0], 10), each))
	}
	b.ResetTimer()
	var group sync.WaitGroup
	for _, changes := range made {
		group.Go(func() { pump(b, l, changes, inFlight) })
	}
	group.Wait()
	b.ReportMetric(float64(each*builds)/b.Elapsed().Seconds(), "moves/s")
}

func pump(b *testing.B, l *storage.Ledger, changes []build.Change, inFlight int) {
	slots := make(chan struct{}, inFlight)
	for _, c := range changes {
		slots <- struct{}{}
		l.Append(c, func(err error) {
			if err != nil {
				b.Error(err)
			}
			<-slots
		})
	}
	for range inFlight {
		slots <- struct{}{}
	}
}

// benchmarkGit is the same by the git program: two blobs, a tree, a commit and a
// ref.
func benchmarkGit(b *testing.B) {
	dir, _ := newRepo(b, 1)
	cli(b, dir, "config", "core.fsync", "all")
	file := filepath.Join(b.TempDir(), "build.json")
	b.Setenv("GIT_INDEX_FILE", filepath.Join(b.TempDir(), "index"))
	for i := 0; b.Loop(); i++ {
		if err := os.WriteFile(file, fmt.Appendf(nil, "state %d\n", i), 0o600); err != nil {
			b.Fatal(err)
		}
		cli(b, dir, "update-index", "--add", "--cacheinfo", "100644", cli(b, dir, "hash-object", "-w", file), "build.json")
		commit := cli(b, dir, "commit-tree", "-m", "move", cli(b, dir, "write-tree"))
		cli(b, dir, "update-ref", "refs/velocity/abcdef/live/0000000001", commit)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "moves/s")
}

// BenchmarkBuild is a build's life in the ledger: accepted, numbered, begun, ten
// tasks ended, folded.
func BenchmarkBuild(b *testing.B) {
	dir, commits := newRepo(b, 1)
	folded := make(chan build.ID, 1)
	l, _ := acquireIn(b, dir, func(id build.ID) { folded <- id })
	for b.Loop() {
		next := begin(b, l, commits[0], 10)
		ledgertest.Record(b, l, build.Change{Build: next, Moves: ledgertest.End(b, next)})
		<-folded
	}
}

// BenchmarkLargeBuild is one task of 2,000, recorded in a change of its own, when
// half of them are done already.
func BenchmarkLargeBuild(b *testing.B) {
	dir, commits := newRepo(b, 1)
	l, _ := acquireIn(b, dir, nil)
	const tasks = 2000
	large := begin(b, l, commits[0], tasks)
	next := 0
	task := func() (moves []build.Move) {
		for _, on := range []build.Kind{build.Assign, build.Begin, build.Succeed} {
			made, err := large.Do(build.Move{Kind: on, Task: plan.Key(0, next), Builder: "b1", At: start})
			if err != nil {
				b.Fatal(err)
			}
			moves = append(moves, made...)
		}
		next++
		return moves
	}
	var half []build.Move
	for range tasks / 2 {
		half = append(half, task()...)
	}
	ledgertest.Record(b, l, build.Change{Build: large.Clone(), Moves: half})
	b.ResetTimer()
	for range min(b.N, tasks/2-1) {
		moves := task()
		ledgertest.Record(b, l, build.Change{Build: large.Clone(), Moves: moves})
	}
}

// BenchmarkBuilds lists the newest 50 of 1,000 builds.
func BenchmarkBuilds(b *testing.B) {
	dir, commits := newRepo(b, 1)
	l, release := acquireIn(b, dir, nil)
	for range 1000 {
		next := begin(b, l, commits[0], 10)
		moves := ledgertest.End(b, next)
		ledgertest.Record(b, l, build.Change{Build: next, Moves: moves})
	}
	release()
	s := openStore(b, dir)
	for b.Loop() {
		if got, err := s.Builds(b.Context(), storage.Query{}); err != nil || len(got) != storage.DefaultLimit {
			b.Fatal(len(got), err)
		}
	}
}
