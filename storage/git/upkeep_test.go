package git

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func upkeep(t testing.TB, r *Repository, keepBelow int) {
	t.Helper()
	if err := r.Upkeep(t.Context(), keepBelow); err != nil {
		t.Fatal(err)
	}
}

func countOwn(t testing.TB, r *Repository) int {
	t.Helper()
	own, err := r.ownPacks()
	if err != nil {
		t.Fatal(err)
	}
	return len(own)
}

func exists(dir string, h Hash) bool {
	_, err := tryCLI(dir, "", "cat-file", "-e", h.String())
	return err == nil
}

// TestUpkeepDrops checks what upkeep keeps and what it drops.
func TestUpkeepDrops(t *testing.T) {
	r, dir := newWork(t, map[string]string{"a": "1"})
	reader := open(t, dir) // has the old packs in mind
	var kept []Hash
	tip := Zero
	for i := range 8 {
		tip = move(t, r, testRef, tip, fmt.Sprint("kept ", i))
		kept = append(kept, tip)
	}
	if _, err := reader.Commit(tip); err != nil {
		t.Fatal(err)
	}
	gone := move(t, r, "refs/velocity/s/live/2", Zero, "gone")
	if err := r.Write(t.Context(), nil, []RefUpdate{{"refs/velocity/s/live/2", gone, Zero}}); err != nil {
		t.Fatal(err)
	}
	tagged := move(t, r, "refs/velocity/s/live/3", Zero, "tagged")
	cli(t, dir, "tag", "mine", tagged.String())
	logged := move(t, r, "refs/velocity/s/live/4", Zero, "logged")
	cli(t, dir, "update-ref", "refs/heads/reflog", logged.String())
	cli(t, dir, "update-ref", "refs/heads/reflog", "HEAD") // now it is only in the reflog
	if err := r.Write(t.Context(), nil, []RefUpdate{{"refs/velocity/s/live/3", tagged, Zero}, {"refs/velocity/s/live/4", logged, Zero}}); err != nil {
		t.Fatal(err)
	}

	upkeep(t, r, 32) // too few: nothing to do
	if n := countOwn(t, r); n != 11 {
		t.Fatalf("%d packs of ours, want 11", n)
	}
	upkeep(t, r, 4)
	if n := countOwn(t, r); n != 1 {
		t.Errorf("%d packs of ours after upkeep, want 1", n)
	}
	for _, h := range append(kept, tagged, logged) {
		if !exists(dir, h) {
			t.Errorf("%s is reachable and was dropped", h)
		}
	}
	if exists(dir, gone) {
		t.Errorf("%s is not reachable and still there", gone)
	}
	if c, err := reader.Commit(kept[0]); err != nil || c.Message != "kept 0\n" {
		t.Errorf("a reader from before: %+v, %v", c, err)
	}
	fsck(t, dir)
}

// TestUpkeepKeepsWhatGitMet: git add does not store a blob that is in one of our
// packs already. It may name it in an index only much later.
func TestUpkeepKeepsWhatGitMet(t *testing.T) {
	r, dir := newWork(t, map[string]string{"a": "1"})
	b := r.NewBatch()
	h := oneFile(t, b, "content of both")
	blob := b.Blob([]byte("content of both"))
	update := RefUpdate{testRef, Zero, h}
	if err := r.Write(t.Context(), b, []RefUpdate{update}); err != nil {
		t.Fatal(err)
	}
	if err := r.Write(t.Context(), nil, []RefUpdate{{testRef, h, Zero}}); err != nil {
		t.Fatal(err)
	}
	move(t, r, testRef, Zero, "other")
	if got := cliInput(t, dir, "content of both", "hash-object", "-w", "--stdin"); got != blob.String() {
		t.Fatalf("git made %s, want %s", got, blob)
	}
	if _, err := os.Stat(filepath.Join(dir, ".git/objects", blob.String()[:2], blob.String()[2:])); err == nil {
		t.Fatal("git stored the blob itself: the test proves nothing")
	}
	upkeep(t, r, 2)
	if !exists(dir, blob) {
		t.Error("upkeep dropped a blob that git counts on")
	}
}

// TestUpkeepMergesSmallPacks: a big pack stays while small ones come and go.
func TestUpkeepMergesSmallPacks(t *testing.T) {
	r, dir := newBare(t)
	b := r.NewBatch()
	var noise strings.Builder
	for i := range 5000 {
		fmt.Fprint(&noise, numbered(i))
	}
	big := oneFile(t, b, noise.String())
	if err := r.Write(t.Context(), b, []RefUpdate{{"refs/velocity/s/big", Zero, big}}); err != nil {
		t.Fatal(err)
	}
	own, err := r.ownPacks()
	if err != nil || len(own) != 1 {
		t.Fatalf("%d packs, %v", len(own), err)
	}
	tip := Zero
	for i := range 20 {
		tip = move(t, r, testRef, tip, fmt.Sprint(i))
	}
	upkeep(t, r, 8)
	if n := countOwn(t, r); n != 2 {
		t.Errorf("%d packs of ours, want 2", n)
	}
	if _, err := os.Stat(own[0].path + ".pack"); err != nil {
		t.Errorf("the big pack was rewritten: %v", err)
	}
	fsck(t, dir)
}

// TestUpkeepLateWrites moves a ref to an object that was unreachable during the
// long walk, as a write beside upkeep may.
func TestUpkeepLateWrites(t *testing.T) {
	r, dir := newBare(t)
	h := move(t, r, testRef, Zero, "late")
	if err := r.Write(t.Context(), nil, []RefUpdate{{testRef, h, Zero}}); err != nil {
		t.Fatal(err)
	}
	move(t, r, "refs/velocity/s/other", Zero, "other")
	writer := open(t, dir)
	wrote := false
	r.disk.fault = func(op, path string) error {
		if !wrote && op == "syncdir" { // the merged pack is published: the walk is over
			wrote = true
			return writer.Write(t.Context(), nil, []RefUpdate{{testRef, Zero, h}})
		}
		return nil
	}
	upkeep(t, r, 2)
	if !wrote || !exists(dir, h) {
		t.Errorf("wrote %v; the late ref's commit must be there", wrote)
	}
	fsck(t, dir)
}

func TestUpkeepSweeps(t *testing.T) {
	r, dir := newBare(t)
	move(t, r, testRef, move(t, r, testRef, Zero, "a"), "b")
	packs := filepath.Join(dir, "objects/pack")
	dead := filepath.Join(packs, "pack-"+strings.Repeat("12", 20))
	orphan := filepath.Join(packs, "pack-"+strings.Repeat("56", 20))
	rubbish := []string{dead + ".keep", dead + ".pack", orphan + ".keep", orphan + ".idx", filepath.Join(dir, ownFolder, "pack-1")}
	foreign := []string{filepath.Join(packs, "pack-"+strings.Repeat("34", 20)+".keep"), filepath.Join(packs, "tmp_pack_x")}
	for _, path := range rubbish {
		if err := os.WriteFile(path, []byte(oursMark), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range foreign {
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	upkeep(t, r, 2)
	for _, path := range rubbish {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left", path)
		}
	}
	for _, path := range foreign {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("git's own file: %v", err)
		}
	}
}

func TestUpkeepPrecious(t *testing.T) {
	_, dir := newBare(t)
	cli(t, dir, "config", "core.repositoryFormatVersion", "1")
	cli(t, dir, "config", "extensions.preciousObjects", "true")
	r := open(t, dir)
	move(t, r, testRef, move(t, r, testRef, Zero, "a"), "b")
	upkeep(t, r, 2)
	if n := countOwn(t, r); n != 2 {
		t.Errorf("%d packs of ours, want both", n)
	}
}

// TestUpkeepBesideMultiPackIndex: git's own index over many packs may still name
// the packs that upkeep deleted.
func TestUpkeepBesideMultiPackIndex(t *testing.T) {
	r, dir := newBare(t)
	tip := Zero
	for i := range 5 {
		tip = move(t, r, testRef, tip, fmt.Sprint(i))
	}
	cli(t, dir, "multi-pack-index", "write")
	upkeep(t, r, 2)
	if got := cli(t, dir, "log", "--format=%s", testRef); got != "4\n3\n2\n1\n0" {
		t.Errorf("git log = %q", got)
	}
	if !exists(dir, tip) {
		t.Error("git does not see the tip")
	}
}

// TestUpkeepBesideGC: a gc that is at work may have listed what nothing reaches any
// more, and gives up if it goes. So one waits for the other.
func TestUpkeepBesideGC(t *testing.T) {
	r, dir := newWork(t, map[string]string{"a": "1"})
	mark := filepath.Join(dir, ".git", "gc.pid")
	gone := move(t, r, testRef, Zero, "gone")
	if err := r.Write(t.Context(), nil, []RefUpdate{{testRef, gone, Zero}}); err != nil {
		t.Fatal(err)
	}
	move(t, r, "refs/velocity/s/live/2", Zero, "kept")
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"1 elsewhere", fmt.Sprintf("%d %s", os.Getppid(), host)} {
		if err := os.WriteFile(mark, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		upkeep(t, r, 2)
		if !exists(dir, gone) {
			t.Fatalf("dropped while gc is at work (%s)", content)
		}
	}
	old := time.Now().Add(-2 * gcLimit)
	if err := os.Chtimes(mark, old, old); err != nil { // of a gc that died
		t.Fatal(err)
	}
	tried := 0
	r.disk.fault = func(op, _ string) error {
		if op == "syncdir" {
			tried++
			if _, err := tryCLI(dir, "", "gc", "--quiet"); err == nil || !strings.Contains(err.Error(), "already running") {
				t.Errorf("git gc during upkeep: %v", err)
			}
		}
		return nil
	}
	upkeep(t, r, 2)
	if r.disk.fault = nil; exists(dir, gone) || tried == 0 {
		t.Errorf("nothing was dropped, or gc tried %d times", tried)
	}
	cli(t, dir, "gc", "--quiet") // it may again
	fsck(t, dir)
}

// TestUpkeepTrustsOnlyWhatItMet: refs are not read at one moment. What a ref led to
// before the first walk, and another one after it, was met by neither.
func TestUpkeepTrustsOnlyWhatItMet(t *testing.T) {
	r, dir := newWork(t, map[string]string{"a": "1"})
	folded := move(t, r, testRef, Zero, "folded meanwhile")
	move(t, r, "refs/velocity/s/live/2", Zero, "kept")
	before, _, err := r.Refs("refs/")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Write(t.Context(), nil, []RefUpdate{{testRef, folded, Zero}}); err != nil {
		t.Fatal(err)
	}
	own, err := r.ownPacks()
	if err != nil {
		t.Fatal(err)
	}
	back := false
	r.disk.fault = func(op, _ string) error {
		if op == "sync" && !back { // the first walk is over
			back = true
			cli(t, dir, "update-ref", "refs/velocity/s/archive/0000", folded.String())
		}
		return nil
	}
	if err := r.collectKnowing(t.Context(), own, before); err != nil || !back {
		t.Fatalf("collect: %v; back %v", err, back)
	}
	r.disk.fault = nil
	if !exists(dir, folded) {
		t.Error("what a ref leads to again was dropped")
	}
	fsck(t, dir)
}

// TestUpkeepRenewsCommitGraph: git's gc remembers our commits in a file of its own,
// and its fsck misses them there.
func TestUpkeepRenewsCommitGraph(t *testing.T) {
	for _, options := range [][]string{nil, {"--split"}} {
		r, dir := newWork(t, map[string]string{"a": "1"})
		gone := move(t, r, testRef, Zero, "gone")
		cli(t, dir, append([]string{"commit-graph", "write", "--reachable"}, options...)...)
		if err := r.Write(t.Context(), nil, []RefUpdate{{testRef, gone, Zero}}); err != nil {
			t.Fatal(err)
		}
		move(t, r, "refs/velocity/s/live/2", Zero, "kept")
		upkeep(t, r, 2)
		if exists(dir, gone) {
			t.Error("nothing was dropped")
		}
		fsck(t, dir)
	}
}

// TestKeptFromGC runs git's most eager clean-ups between pack and ref, where an
// object is reachable from nothing.
func TestKeptFromGC(t *testing.T) {
	r, dir := newBare(t)
	tip := Zero
	for i := range 6 {
		cleaned := 0
		r.disk.fault = func(op, path string) error {
			if op == "rename" || op == "syncdir" || op == "create" && strings.HasSuffix(path, testRef+".lock") {
				cleaned++
				cli(t, dir, "repack", "-adq")
				cli(t, dir, "gc", "--quiet", "--prune=now")
			}
			return nil
		}
		tip = move(t, r, testRef, tip, fmt.Sprint(i))
		if cleaned < 5 { // before the pack, the index and the ref, and after them
			t.Fatalf("gc ran %d times, want 5", cleaned)
		}
	}
	fsck(t, dir)
}
