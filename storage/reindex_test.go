package storage_test

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
	"github.com/velocity-ci/velocity/storage/ledgertest"
)

// packsWithoutIndex lists the packs that git does not see, without extension.
func packsWithoutIndex(tb testing.TB, dir string) []string {
	tb.Helper()
	packs, err := filepath.Glob(filepath.Join(dir, "objects/pack/pack-*.pack"))
	if err != nil {
		tb.Fatal(err)
	}
	var lost []string
	for _, pack := range packs {
		base := strings.TrimSuffix(pack, ".pack")
		if _, err := os.Stat(base + ".idx"); err != nil {
			lost = append(lost, base)
		}
	}
	return lost
}

// pushedPack adds a pack that Velocity has no reason to read, and returns its path
// without extension.
func pushedPack(t *testing.T, dir string) string {
	t.Helper()
	pattern := filepath.Join(dir, "objects/pack/pack-*.pack")
	before, _ := filepath.Glob(pattern)
	if err := (&soak{dir: dir}).foreignPack(0); err != nil {
		t.Fatal(err)
	}
	after, err := filepath.Glob(pattern)
	after = slices.DeleteFunc(after, func(path string) bool { return slices.Contains(before, path) })
	if err != nil || len(after) != 1 {
		t.Fatalf("packs that were added: %v, %v", after, err)
	}
	return strings.TrimSuffix(after[0], ".pack")
}

// A ledger that begins makes the indexes anew that git's gc has taken, also those
// that nobody has missed: git refuses pushes while a ref leads into such a pack.
func TestLostIndexAtTheBeginning(t *testing.T) {
	dir, commits := newRepo(t, 1)
	recorded(t, dir, commits[0])
	if err := os.Remove(pushedPack(t, dir) + ".idx"); err != nil {
		t.Fatal(err)
	}
	if out, err := try(dir, "fsck"); err == nil {
		t.Fatalf("git misses nothing, so that this proves nothing: %s", out)
	}
	_, release := acquireIn(t, dir, nil)
	fsck(t, dir)
	release()
}

// While a ledger works it looks for indexes as soon as git's gc is over, and once
// more when it is released.
func TestLostIndexAfterGC(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, released := range []bool{false, true} {
		t.Run(fmt.Sprintf("released=%t", released), func(t *testing.T) {
			dir, commits := newRepo(t, 1)
			l, release := acquireIn(t, dir, nil)
			b := begin(t, l, commits[0], 1)
			mark := filepath.Join(dir, "gc.pid")
			if err := os.WriteFile(mark, fmt.Appendf(nil, "%d %s", os.Getppid(), host), 0o600); err != nil {
				t.Fatal(err)
			}
			notice(t, l, b) // is written during the gc
			if err := os.Remove(pushedPack(t, dir) + ".idx"); err != nil {
				t.Fatal(err)
			}
			if released {
				release()
			} else if err := os.Remove(mark); err != nil {
				t.Fatal(err)
			}
			patience, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			for !released && len(packsWithoutIndex(t, dir)) > 0 {
				if patience.Err() != nil {
					t.Fatal("nobody looked after the gc")
				}
			}
			fsck(t, dir)
			release()
		})
	}
}

// notice adds a move to a build, durably.
func notice(t *testing.T, l *storage.Ledger, b *build.Build) {
	t.Helper()
	moves, err := b.Do(build.Move{Kind: build.Notice, Reason: "busy", At: start})
	if err != nil {
		t.Fatal(err)
	}
	ledgertest.Record(t, l, build.Change{Build: b.Clone(), Moves: moves})
}
