package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage"
)

// A yard is a generated repository that is measured.
type yard struct {
	*testing.B
	h        *history
	dir      string
	velocity string // the program
	rss      int64  // largest resident set of the program so far
}

// median runs f a few times.
func median(times int, f func() time.Duration) time.Duration {
	var took []time.Duration
	for range times {
		took = append(took, f())
	}
	slices.Sort(took)
	return took[len(took)/2]
}

const repeats = 7

// program measures a new process of velocity. The files it reads are in the
// system's cache.
func (y *yard) program(args ...string) time.Duration {
	y.Helper()
	argv := append([]string{y.velocity, args[0], "--repo", y.dir}, args[1:]...)
	return median(repeats, func() time.Duration {
		u := run(y, y.dir, nil, argv...)
		y.rss = max(y.rss, u.rss)
		return u.wall
	})
}

func (y *yard) sh(script string) time.Duration {
	y.Helper()
	return median(repeats, func() time.Duration { return run(y, y.dir, nil, "sh", "-c", script).wall })
}

// reading measures what people look at, before anything else is written.
func (y *yard) reading(t *table) {
	n := y.h.n
	last := y.h.commits[len(y.h.commits)-1]
	middle := y.h.commits[len(y.h.commits)/2]
	t.add("newest 50, new process", ms, y.program("builds", "--json").Seconds())
	t.add("newest 50 by git cat-file --batch", ms, y.sh(y.byGit()).Seconds())
	t.add("newest 50, warm", ms, y.warm().Seconds())
	t.add("show by number, new process", ms, y.program("show", "--json", fmt.Sprint(n/2)).Seconds())
	t.add("show by commit, new process", ms, y.program("show", "--json", string(middle.hash)).Seconds())
	t.add("git log -1 --notes of a commit", ms, y.sh("git log -1 --notes=velocity --format=%N "+string(middle.hash)).Seconds())
	first := run(y, y.dir, nil, y.velocity, "builds", "--repo", y.dir, "--author", "nobody")
	y.rss = max(y.rss, first.rss)
	t.add("first search, which makes the index", ms, first.wall.Seconds())
	t.add("index on disk, of all builds", kib, y.size("velocity/index"))
	t.add("search without a match, by the index", ms, y.program("builds", "--author", "nobody").Seconds())
	t.add("search by author, newest 50", ms, y.program("builds", "--json", "--author", last.author).Seconds())
	t.add("search by commit", ms, y.program("builds", "--json", "--commit", string(middle.hash)).Seconds())
	t.add("memory of a reader, peak", mib, float64(y.rss))
}

// byGit is the newest 50 by git's own means.
func (y *yard) byGit() string {
	return fmt.Sprintf(`for b in $(git for-each-ref --sort=-refname --format='%%(refname)' refs/velocity/%s/archive); do
		git ls-tree -r --name-only $b | grep 'build.json$' | sort -r | sed "s|^|$b:|"
		done | head -50 | git cat-file --batch`, storeID)
}

// warm lists in a process that did so before.
func (y *yard) warm() time.Duration {
	s := openStore(y, y.dir)
	list := func() time.Duration {
		began := time.Now()
		if builds, err := s.Builds(context.Background(), storage.Query{}); err != nil || len(builds) != storage.DefaultLimit {
			y.Fatalf("%d builds, %v", len(builds), err)
		}
		return time.Since(began)
	}
	list()
	return median(3*repeats, list)
}

// writing measures the ledger on top of what is there.
func (y *yard) writing(t *table) {
	folded := make(chan build.ID, 1)
	l := acquire(y, y.dir, func(id build.ID) { folded <- id })
	more := newHistory(y.h.n+1000, y.h.seed, false)
	number := y.h.n
	next := func() (*build.Build, build.Change) {
		number++
		id, err := l.Next(context.Background())
		if err != nil || id.Number != int64(number) {
			y.Fatalf("Next() = %v, %v; want number %d", id, err, number)
		}
		b, moves, p := more.build(number)
		b.Trigger.Commit = y.h.commits[number%len(y.h.commits)].hash
		return b, build.Change{Build: b, Moves: moves, Plan: p}
	}
	t.add("a build recorded whole and folded", ms, median(15, func() time.Duration {
		_, change := next()
		began := time.Now()
		y.append(l, change)
		<-folded
		return time.Since(began)
	}).Seconds())
	b := y.begun(l, number+1)
	t.add("a durable move alone", ms, median(31, func() time.Duration {
		change := notice(y, b)
		began := time.Now()
		y.append(l, change)
		return time.Since(began)
	}).Seconds())
	t.add("durable moves in batches of one build", perSecond, y.batched(l, b))
	if err := l.Release(context.Background()); err != nil {
		y.Fatal(err)
	}
	t.add("git update-ref", ms, y.sh("git update-ref refs/velocity-bench/x $(git rev-parse main)").Seconds())
	t.add("git notes add", ms, y.sh("git notes --ref bench add -f -m line main").Seconds())
	t.add("git notes append to notes/velocity", ms, y.sh("git notes --ref velocity append -m line main").Seconds())
}

// append records a change and waits until it is durable.
func (y *yard) append(l *storage.Ledger, c build.Change) {
	done := make(chan error, 1)
	l.Append(c, func(err error) { done <- err })
	if err := <-done; err != nil {
		y.Fatal(err)
	}
}

// begun records a build that stays open.
func (y *yard) begun(l *storage.Ledger, number int) *build.Build {
	id, err := l.Next(context.Background())
	if err != nil {
		y.Fatal(err)
	}
	like, _, _ := y.h.build(1)
	req := like.Request
	req.ID = id
	b, moves := build.New(req, y.h.at(number))
	moves = append(moves, b.Open(y.h.at(number))...)
	y.append(l, build.Change{Build: b.Clone(), Moves: moves})
	return b
}

// notice is a move of b; what is measured shall not grow.
func notice(tb testing.TB, b *build.Build) build.Change {
	moves, err := b.Do(build.Move{Kind: build.Notice, Reason: "noticed", At: b.Created})
	if err != nil {
		tb.Fatal(err)
	}
	if len(b.Notices) > 50 {
		b.Notices = nil
	}
	return build.Change{Build: b.Clone(), Moves: moves}
}

// batched is how many moves a second become durable when 100 are on their way.
func (y *yard) batched(l *storage.Ledger, b *build.Build) float64 {
	const moves, inFlight = 2000, 100
	slots := make(chan struct{}, inFlight)
	began := time.Now()
	for range moves {
		slots <- struct{}{}
		l.Append(notice(y, b), func(error) { <-slots })
	}
	for range inFlight {
		slots <- struct{}{}
	}
	return moves / time.Since(began).Seconds()
}

// exchanging measures what users of the repository feel.
func (y *yard) exchanging(t *table) {
	desk := filepath.Join(y.TempDir(), "desk")
	git(y, "", "init", "-q", "-b", "main", desk)
	git(y, desk, "fetch", "-q", "--depth", "1", y.dir, "main")
	git(y, desk, "reset", "-q", "FETCH_HEAD")
	branch := 0
	t.add("push of a user's branch", ms, median(repeats, func() time.Duration {
		branch++
		git(y, desk, "commit", "-q", "--allow-empty", "-m", fmt.Sprint("work ", branch))
		return run(y, desk, nil, "git", "push", "-q", y.dir, fmt.Sprintf("HEAD:refs/heads/mine-%d", branch)).wall
	}).Seconds())
	notes := storage.NotesRef + ":" + storage.NotesRef
	t.add("git fetch of the notes, first", ms, run(y, desk, nil, "git", "fetch", "-q", y.dir, notes).wall.Seconds())
	t.add("git fetch of the notes after one more", ms, median(repeats, func() time.Duration {
		git(y, y.dir, "notes", "--ref", "velocity", "append", "-m", "one more", "main")
		return run(y, desk, nil, "git", "fetch", "-q", y.dir, notes).wall
	}).Seconds())
}

// packing measures the disk.
func (y *yard) packing(t *table) {
	t.add("git repack -ad", ms, run(y, y.dir, nil, "git", "repack", "-q", "-a", "-d").wall.Seconds())
	t.add("disk a build, packed", bytesEach, y.size("objects")/float64(y.h.n))
	t.add("refs of the store", count, float64(len(strings.Fields(git(y, y.dir, "for-each-ref", "--format=%(refname)", "refs/velocity")))))
}

// size is how many bytes the files below a folder have.
func (y *yard) size(folder string) float64 {
	var sum int64
	err := filepath.WalkDir(filepath.Join(y.dir, folder), func(_ string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	if err != nil {
		y.Fatal(err)
	}
	return float64(sum)
}
