package git

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// git's gc may take the index of a pack that was just published for garbage, and
// the pack's .keep file with it.
func TestLostIndexIsMadeAnew(t *testing.T) {
	r, dir := newBare(t)
	b := r.NewBatch()
	blob := b.Blob([]byte("kept"))
	if err := r.Write(t.Context(), b, []RefUpdate{{Name: "refs/velocity/x", New: blob}}); err != nil {
		t.Fatal(err)
	}
	packs, err := filepath.Glob(filepath.Join(dir, "objects", "pack", "pack-*.pack"))
	if err != nil || len(packs) != 1 {
		t.Fatalf("packs are %v, %v", packs, err)
	}
	base := strings.TrimSuffix(packs[0], ".pack")
	for _, extension := range []string{".idx", ".keep"} {
		if err := os.Remove(base + extension); err != nil {
			t.Fatal(err)
		}
	}
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

// A pack that has lost its index, and still has our mark, is not swept away: refs
// may lead into it.
func TestSweepLeavesPacksWithoutIndex(t *testing.T) {
	r, dir := newBare(t)
	b := r.NewBatch()
	blob := b.Blob([]byte("kept"))
	if err := r.Write(t.Context(), b, []RefUpdate{{Name: "refs/velocity/x", New: blob}}); err != nil {
		t.Fatal(err)
	}
	indexes, err := filepath.Glob(filepath.Join(dir, "objects", "pack", "pack-*.idx"))
	if err != nil || len(indexes) != 1 {
		t.Fatalf("indexes are %v, %v", indexes, err)
	}
	if err := os.Remove(indexes[0]); err != nil {
		t.Fatal(err)
	}
	if err := r.sweep(); err != nil {
		t.Fatal(err)
	}
	if text, err := open(t, dir).ReadBlob(blob, 100); err != nil || string(text) != "kept" {
		t.Errorf("ReadBlob = %q, %v", text, err)
	}
}
