package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// git's gc may take the index of a pack that was just published for garbage, and
// the pack's .keep file with it.
func TestLostIndexIsMadeAnew(t *testing.T) {
	r, dir := newBare(t)
	blob, base := published(t, r, "refs/velocity/x", "kept")
	loseIndex(t, base)
	r = open(t, dir)
	if text, err := r.ReadBlob(blob, 100); err != nil || string(text) != "kept" {
		t.Errorf("ReadBlob = %q, %v", text, err)
	}
	if out := cli(t, dir, "cat-file", "-p", "refs/velocity/x"); out != "kept" {
		t.Errorf("git reads %q", out)
	}
	missing := Hash{1}
	if _, err := r.ReadBlob(missing, 100); !errors.Is(err, ErrObjectNotFound) {
		t.Errorf("ReadBlob of what is not there = %v", err)
	}
}

// published writes one object, which a ref names, and returns it with the path of its
// pack without extension.
func published(t *testing.T, r *Repository, ref, text string) (Hash, string) {
	t.Helper()
	before, err := packsIn(r.packFolder())
	if err != nil {
		t.Fatal(err)
	}
	b := r.NewBatch()
	blob := b.Blob([]byte(text))
	if err := r.Write(t.Context(), b, []RefUpdate{{Name: ref, New: blob}}); err != nil {
		t.Fatal(err)
	}
	after, err := packsIn(r.packFolder())
	if err != nil {
		t.Fatal(err)
	}
	added := slices.DeleteFunc(after, func(path string) bool { return slices.Contains(before, path) })
	if len(added) != 1 {
		t.Fatalf("packs that were added: %v", added)
	}
	return blob, added[0]
}

// loseIndex deletes what git's gc deletes.
func loseIndex(t *testing.T, base string) {
	t.Helper()
	for _, extension := range []string{".idx", ".keep"} {
		if err := os.Remove(base + extension); err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever walks with git makes lost indexes anew before, also of packs that
// nobody here has missed.
func TestWalksBeginWithIndexes(t *testing.T) {
	for name, walk := range map[string]func(*Repository) error{
		"upkeep":  func(r *Repository) error { return r.Upkeep(t.Context(), 2) },
		"collect": func(r *Repository) error { return r.Collect(t.Context()) },
		"erase": func(r *Repository) error {
			_, err := r.Erase(t.Context(), Erasure{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, dir := newBare(t)
			published(t, r, "refs/velocity/a", "a")
			published(t, r, "refs/velocity/b", "b")
			_, base := published(t, r, "refs/velocity/c", "c")
			loseIndex(t, base)
			if err := walk(r); err != nil {
				t.Error(err)
			}
			if out := cli(t, dir, "cat-file", "-p", "refs/velocity/c"); out != "c" {
				t.Errorf("git reads %q", out)
			}
			fsck(t, dir)
		})
	}
}

// Of two readers that miss an index one makes it, and the other one, which finds
// nothing to mend any more, finds the object.
func TestIndexMadeBySomebodyElse(t *testing.T) {
	r, dir := newBare(t)
	blob, base := published(t, r, "refs/velocity/x", "kept")
	loseIndex(t, base)
	r = open(t, dir)
	r.objects.mend = func() bool {
		if !open(t, dir).Reindex() {
			t.Error("nothing was mended")
		}
		return r.Reindex()
	}
	if text, err := r.ReadBlob(blob, 100); err != nil || string(text) != "kept" {
		t.Errorf("ReadBlob = %q, %v", text, err)
	}
}

// An index that is there by now stays: it is not gone for a moment.
func TestAddIndexLeavesAnIndex(t *testing.T) {
	r, _ := newBare(t)
	_, base := published(t, r, "refs/velocity/x", "kept")
	before, err := os.Stat(base + ".idx")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.addIndex(t.Context(), base+".pack"); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(base + ".idx"); err != nil || !os.SameFile(before, after) {
		t.Errorf("the index is another one: %v", err)
	}
}

// A gc deletes at its end: before, there is nothing to mend.
func TestAfterGC(t *testing.T) {
	r, dir := newBare(t)
	_, base := published(t, r, "refs/velocity/x", "kept")
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	mark := filepath.Join(dir, gcMark)
	if err := os.WriteFile(mark, fmt.Appendf(nil, "%d %s", os.Getppid(), host), 0o600); err != nil {
		t.Fatal(err)
	}
	slept := 0
	r.sleep = func(context.Context, time.Duration) error {
		if slept++; slept == 3 {
			loseIndex(t, base)
			return os.Remove(mark)
		}
		return nil
	}
	r.AfterGC(t.Context())
	if !complete(base) || slept != 3 {
		t.Errorf("the gc was not waited for, or the index is not there after %d looks at the gc", slept)
	}
	if err := errors.Join(os.Remove(base+".idx"), os.WriteFile(mark, fmt.Appendf(nil, "%d %s", os.Getppid(), host), 0o600)); err != nil {
		t.Fatal(err)
	}
	r.sleep = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	ended, end := context.WithCancel(t.Context())
	end()
	if r.AfterGC(ended); !complete(base) {
		t.Error("the index is not there after the wait was ended")
	}
}

// A pack that has lost its index, and still has our mark, is not swept away: refs
// may lead into it.
func TestSweepLeavesPacksWithoutIndex(t *testing.T) {
	r, dir := newBare(t)
	blob, base := published(t, r, "refs/velocity/x", "kept")
	if err := os.Remove(base + ".idx"); err != nil {
		t.Fatal(err)
	}
	if err := r.sweep(); err != nil {
		t.Fatal(err)
	}
	if text, err := open(t, dir).ReadBlob(blob, 100); err != nil || string(text) != "kept" {
		t.Errorf("ReadBlob = %q, %v", text, err)
	}
}
