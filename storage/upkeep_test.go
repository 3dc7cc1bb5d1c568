package storage_test

import (
	"path/filepath"
	"testing"

	"github.com/velocity-ci/velocity/architect/build"
)

// A writer that is never idle still merges its packs: each change is followed by
// one that waits already.
func TestUpkeepOfABusyLedger(t *testing.T) {
	const changes, enough = 400, 256 + 2*32
	dir, commits := newRepo(t, 1)
	l, release := acquireIn(t, dir, nil)
	b := begin(t, l, commits[0], 1)
	packs := func() int {
		found, err := filepath.Glob(filepath.Join(dir, "objects/pack/*.keep"))
		if err != nil {
			t.Error(err)
		}
		return len(found)
	}
	ended := make(chan int, 1)
	durable := 0
	var done func(error)
	send := func() {
		moves, err := b.Do(build.Move{Kind: build.Notice, Reason: "busy", At: start})
		if err != nil {
			t.Error(err)
		}
		l.Append(build.Change{Build: b.Clone(), Moves: moves}, done)
	}
	done = func(err error) { // the writer calls it, and looks for more after it
		if err != nil {
			t.Errorf("Append: %v", err)
		}
		if durable++; durable == changes {
			ended <- packs()
			return
		}
		send()
	}
	send()
	if n := <-ended; n > enough {
		t.Errorf("%d packs after %d writes without a pause; want at most %d", n, changes, enough)
	}
	release()
	fsck(t, dir)
}
