package source

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

func mirrors(t *testing.T, f *Fresh) int {
	t.Helper()
	entries, err := os.ReadDir(f.Mirrors)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestLeastRecentlyUsedMirrorGoes(t *testing.T) {
	f := fresh(t)
	now := time.Now()
	f.Now = func() time.Time { now = now.Add(time.Hour); return now }
	open := func(name, dir string, commit plan.Commit) func() error {
		t.Helper()
		_, done, err := f.Open(t.Context(), Request{Name: name, Repository: "file://" + dir, Commit: commit})
		if err != nil {
			t.Fatal(err)
		}
		f.upkeep.Wait() // it uses the clock and the mirror, too
		return done
	}
	used, usedAt := repository(t)
	old, oldAt := repository(t)
	recent, recentAt := repository(t)
	holding := open("a", used, usedAt)
	for name, done := range map[string]func() error{"b": open("b", old, oldAt), "c": open("c", recent, recentAt)} {
		if err := done(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if n := mirrors(t, f); n != 3 {
		t.Fatalf("%d mirrors without a limit", n)
	}
	all, err := f.cached()
	if err != nil {
		t.Fatal(err)
	}
	f.Limit = 2*all[0].size + all[0].size/2 // room for two
	if err := open("d", recent, recentAt)(); err != nil {
		t.Fatal(err)
	}
	if n := mirrors(t, f); n != 2 {
		t.Errorf("%d mirrors; want 2", n)
	}
	for name, want := range map[string]bool{used: true, old: false, recent: true} {
		_, err := os.Stat(f.mirror("file://" + name).dir)
		if got := err == nil; got != want {
			t.Errorf("mirror of %s is there: %t", filepath.Base(name), got)
		}
	}
	f.Limit = 1 // room for none: the one in use stays all the same
	if err := open("e", old, oldAt)(); err != nil {
		t.Errorf("a mirror that was removed is not made again: %v", err)
	}
	if n := mirrors(t, f); n != 1 {
		t.Errorf("%d mirrors; want the one in use", n)
	}
	if err := holding(); err != nil {
		t.Error(err)
	}
	if n := mirrors(t, f); n != 0 {
		t.Errorf("%d mirrors; want none", n)
	}
}

func TestOwnCopyRefersToNothing(t *testing.T) {
	dir, commit := repository(t)
	f := fresh(t)
	ws, done, err := f.Open(t.Context(), Request{Name: "a", Repository: "file://" + dir, Commit: commit, Own: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(ws.ReadOnly) != 0 {
		t.Errorf("it needs to see %v", ws.ReadOnly)
	}
	if _, err := os.Stat(filepath.Join(ws.Dir, ".git/objects/info/alternates")); err == nil {
		t.Error("it borrows objects")
	}
	if got := sh(t, ws.Dir, "git status --porcelain; git log --format=%s; find .git/objects -type f -links +1"); got != "first" {
		t.Errorf("the workspace holds %q", got)
	}
	if err := done(); err != nil {
		t.Error(err)
	}
}
