package git

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// FuzzPack reads damaged packs and indexes: any error will do, a panic or two
// answers that differ would not.
func FuzzPack(f *testing.F) {
	r, dir := newWork(f, nil)
	text := strings.Repeat("a line that deltas well\n", 20)
	for range 3 {
		text += "more\n"
		commitFiles(f, dir, map[string]string{"a": text})
	}
	head := hash(f, cli(f, dir, "rev-parse", "HEAD:a"))
	cli(f, dir, "gc", "--quiet")
	paths, err := packsIn(r.packFolder())
	if err != nil || len(paths) != 1 {
		f.Fatalf("packs %v, %v", paths, err)
	}
	packed, err := os.ReadFile(paths[0] + ".pack")
	if err != nil {
		f.Fatal(err)
	}
	index, err := os.ReadFile(paths[0] + ".idx")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed, index)
	f.Add(packed[:len(packed)/2], index)
	f.Add(packed, index[:len(index)/2])
	f.Fuzz(func(t *testing.T, packed, index []byte) {
		folder := t.TempDir()
		base := filepath.Join(folder, "pack", "pack-x")
		err := errors.Join(os.Mkdir(filepath.Dir(base), 0o777), os.WriteFile(base+".pack", packed, 0o666), os.WriteFile(base+".idx", index, 0o666))
		if err != nil {
			t.Fatal(err)
		}
		s := newObjectStore(folder, func(time.Duration) {})
		o, err := s.get(head)
		if n, sizeErr := s.size(head); err == nil && (sizeErr != nil || n != int64(len(o.content))) {
			t.Errorf("size = %d, %v; the content has %d bytes", n, sizeErr, len(o.content))
		}
		for _, p := range s.packs {
			_ = p.names(func(Hash) {})
			_ = p.withPrefix("abcd", func(Hash) {})
		}
	})
}

// TestReadHugeCommit: a commit that does not fit is refused before it is read.
func TestReadHugeCommit(t *testing.T) {
	r, dir := newBare(t)
	tree := cliInput(t, dir, "", "mktree")
	message := strings.Repeat("all work and no play\n", maxMeta/20)
	h := hash(t, cliInput(t, dir, message, "commit-tree", tree))
	small := hash(t, cliInput(t, dir, message[:len(message)-100], "commit-tree", tree))
	cli(t, dir, "update-ref", "refs/heads/a", h.String())
	cli(t, dir, "update-ref", "refs/heads/b", small.String())
	for _, packed := range []bool{false, true} { // then one is a delta of the other
		if packed {
			cli(t, dir, "-c", "core.bigFileThreshold=1g", "gc", "--quiet")
		}
		for _, h := range []Hash{h, small} {
			if _, err := r.Commit(h); !errors.Is(err, ErrTooLarge) {
				t.Errorf("Commit of %d bytes (packed %v) = %v, want ErrTooLarge", len(message), packed, err)
			}
		}
	}
}
