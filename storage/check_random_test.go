package storage_test

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/ledgertest"
)

// Whatever is done to a ledger, nothing is out of order meanwhile or afterwards.
func TestHealthyRepositoryHasNoFindings(t *testing.T) {
	dir, commits := newRepo(t, 3)
	protect(t, dir)
	l, release := acquireIn(t, dir, nil)
	var live []*build.Build
	accepted := 0
	rapid.Check(t, func(rt *rapid.T) {
		commit := rapid.SampledFrom(commits).Draw(rt, "commit")
		switch op := rapid.SampledFrom([]string{"begin", "advance", "finish", "accept", "settle", "tips", "reopen"}).Draw(rt, "op"); {
		case op == "begin" || len(live) == 0 && (op == "advance" || op == "finish"):
			live = append(live, begin(t, l, commit, 2))
		case op == "advance":
			advance(t, l, live[0])
		case op == "finish":
			finish(t, l, live[0])
			live = live[1:]
		case op == "accept":
			accepted++
			trigger := plan.Trigger{ID: fmt.Sprintf("t%d", accepted), Event: plan.EventPush, Ref: "refs/heads/main", Commit: commit, Received: start}
			if err := l.Accept(context.Background(), []plan.Trigger{trigger}); err != nil {
				rt.Fatal(err)
			}
		case op == "settle":
			ledgertest.Record(t, l, build.Change{Settled: []string{fmt.Sprintf("t%d", accepted)}})
		case op == "tips":
			ledgertest.Record(t, l, build.Change{Tips: map[string]plan.Commit{"refs/heads/main": commit}})
		case op == "reopen":
			release()
			l, release = acquireIn(t, dir, nil)
			if found := l.Found(); len(found) > 0 {
				rt.Fatalf("the next writer found %q", found)
			}
		}
		r, err := openStore(t, dir).Check(context.Background(), false)
		if err != nil || len(r.Findings) > 0 {
			rt.Fatalf("Check: %+v, %v", r.Findings, err)
		}
	})
	if r, err := openStore(t, dir).Check(t.Context(), true); err != nil || len(r.Findings) > 0 || !strings.HasPrefix(r.Writer, "test (pid ") {
		t.Errorf("Check beside the writer: %+v, %v", r, err)
	}
	release()
	if r, err := openStore(t, dir).Check(t.Context(), true); err != nil || len(r.Findings) > 0 || r.Writer != "" {
		t.Errorf("Check: %+v, %v", r, err)
	}
}

// victims are files of ours in a repository, in an order that does not depend on
// their contents.
func victims(tb testing.TB, dir string) []string {
	tb.Helper()
	var files []string
	for _, top := range []string{"refs/velocity", "refs/notes", "objects/pack", "velocity"} {
		err := filepath.WalkDir(filepath.Join(dir, top), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	slices.Sort(files)
	return files
}

// spoil cuts a file short, changes a byte of it, or removes it.
func spoil(tb testing.TB, path string, how byte, where uint16) {
	tb.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.Remove(path); err != nil || how%3 == 0 {
		return
	}
	at := int(where)
	if len(content) > 0 {
		at %= len(content)
	} else {
		at = 0
	}
	if how%3 == 1 {
		content = content[:at]
	} else if len(content) > 0 {
		content[at] ^= 1 << (where % 7)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		tb.Fatal(err)
	}
}

// After any damage to one file of ours the check says what it sees, the repair
// leads to a repository that can be recorded in, and what could be read before
// the repair can be read after it.
func TestRandomDamage(t *testing.T) {
	whole, commits := newRepo(t, 2)
	protect(t, whole)
	recorded(t, whole, commits[0], commits[1], commits[0])
	l, release := acquireIn(t, whole, nil)
	advance(t, l, begin(t, l, commits[0], 2))
	trigger := plan.Trigger{ID: "t1", Event: plan.EventPush, Ref: "refs/heads/main", Commit: commits[0], Received: start}
	if err := l.Accept(context.Background(), []plan.Trigger{trigger}); err != nil {
		t.Fatal(err)
	}
	ledgertest.Record(t, l, build.Change{Tips: map[string]plan.Commit{"refs/heads/main": commits[0]}})
	tell(t, l, commits[0], "velocity / default", storage.Told{External: "k3f9a2-1", ID: 7, State: storage.ToldFinal, At: start})
	release()
	rounds := 16
	if testing.Short() {
		rounds = 8
	}
	for i := range rounds {
		which, how, where := 5*i, byte(i), uint16(37*i)
		if i >= rounds/2 {
			which, how, where = rand.IntN(1000), byte(rand.IntN(3)), uint16(rand.IntN(1<<16))
		}
		dir := copyRepo(t, whole)
		files := victims(t, dir)
		victim := files[which%len(files)]
		spoil(t, victim, how, where)
		survives(t, dir, fmt.Sprintf("%s, how %d, at %d", strings.TrimPrefix(victim, dir), how%3, where))
	}
}

// survives checks and repairs a damaged repository.
func survives(t *testing.T, dir, what string) {
	t.Helper()
	before := readableBuilds(t, dir)
	if _, err := openStore(t, dir).Check(t.Context(), true); err != nil {
		t.Errorf("%s: Check: %v", what, err)
	}
	mended, left, err := openStore(t, dir).Repair(t.Context(), "test", true)
	if err != nil {
		t.Fatalf("%s: Repair: %v", what, err)
	}
	after := readableBuilds(t, dir)
	for _, id := range before {
		if !slices.Contains(after, id) {
			t.Errorf("%s: build %s could be read before the repair\nmended %+v\nleft %+v", what, id, mended, left)
		}
	}
	_, release := acquireIn(t, dir, nil)
	release()
	for _, f := range left {
		if f.Mends {
			t.Errorf("%s: left although it can be mended: %+v", what, f)
		}
	}
}
