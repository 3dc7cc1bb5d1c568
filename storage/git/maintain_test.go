package git

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// manySmallPacks makes a repository of commits with a pack each.
func manySmallPacks(t *testing.T, n int) (dir string, r *Repository) {
	t.Helper()
	dir = t.TempDir()
	cli(t, dir, "init", "-q", "--bare", ".")
	tree := cli(t, dir, "hash-object", "-t", "tree", "-w", "/dev/null")
	for i := range n {
		commit := cli(t, dir, "commit-tree", "-m", strconv.Itoa(i), tree)
		cli(t, dir, "update-ref", "refs/heads/b"+strconv.Itoa(i), commit)
		cli(t, dir, "repack", "-d", "-q")
	}
	return dir, open(t, dir)
}

func countPacks(t *testing.T, dir string) int {
	t.Helper()
	packs, err := filepath.Glob(filepath.Join(dir, "objects/pack/*.pack"))
	if err != nil {
		t.Fatal(err)
	}
	return len(packs)
}

func TestMaintainMergesManyPacks(t *testing.T) {
	now := time.Now()
	dir, r := manySmallPacks(t, manyPacks-1)
	if err := r.Maintain(t.Context(), now); err != nil || countPacks(t, dir) != manyPacks-1 {
		t.Errorf("Maintain: %v; %d packs, want them left alone", err, countPacks(t, dir))
	}
	dir, r = manySmallPacks(t, manyPacks)
	unlock, err := r.flock(maintainLock, syscall.LOCK_EX)
	if err != nil {
		t.Fatal(err)
	}
	if err := open(t, dir).Maintain(t.Context(), now); err != nil || countPacks(t, dir) != manyPacks {
		t.Errorf("Maintain beside another: %v; %d packs, want it to do nothing", err, countPacks(t, dir))
	}
	unlock()
	if err := r.Maintain(t.Context(), now); err != nil || countPacks(t, dir) > 2 {
		t.Errorf("Maintain: %v; %d packs, want hardly any", err, countPacks(t, dir))
	}
	cli(t, dir, "fsck", "--full", "--strict")
}

// What nothing reaches goes when it is two weeks old, and is looked for once a
// week.
func TestMaintainCollectsWeekly(t *testing.T) {
	dir, r := manySmallPacks(t, 1)
	loose := func(age time.Duration, content string) string {
		file := filepath.Join(t.TempDir(), "content")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		h := cli(t, dir, "hash-object", "-w", file)
		path := filepath.Join(dir, "objects", h[:2], h[2:])
		when := time.Now().Add(-age)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
		return path
	}
	old, fresh := loose(30*24*time.Hour, "old"), loose(time.Hour, "fresh")
	there := func(path string) bool { _, err := os.Stat(path); return err == nil }
	now := time.Now()
	for _, at := range []time.Duration{0, collectEvery - time.Second} {
		if err := r.Maintain(t.Context(), now.Add(at)); err != nil || !there(old) {
			t.Fatalf("Maintain after %s: %v; it must not collect yet", at, err)
		}
	}
	if err := r.Maintain(t.Context(), now.Add(collectEvery)); err != nil || there(old) || !there(fresh) {
		t.Errorf("Maintain after a week: %v; old is there: %t, fresh is: %t", err, there(old), there(fresh))
	}
	old = loose(30*24*time.Hour, "old")
	if err := r.Maintain(t.Context(), now.Add(collectEvery+time.Hour)); err != nil || !there(old) {
		t.Errorf("Maintain an hour later: %v; it must not collect again", err)
	}
	if err := os.WriteFile(filepath.Join(dir, ownFolder, maintained), []byte("?"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.Maintain(t.Context(), now); err != nil || there(old) {
		t.Errorf("Maintain after the time was lost: %v; it must collect", err)
	}
}
