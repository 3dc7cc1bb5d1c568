package storage_test

import (
	"path/filepath"
	"testing"

	"github.com/velocity-ci/velocity/architect/build"
)

// A writer that is never idle still merges its packs: each change is followed by
// one that waits already.
func TestUpkeepOfABusyLedger(t *testing.T) {
	const most = 1600 // changes; without upkeep there is a pack for each
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
	ended := make(chan bool, 1)
	durable, seen := 0, 0
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
		durable++
		now := packs()
		merged := now < seen-100 // how long that takes, and what is written meanwhile, is the machine's to say
		if merged || durable == most || err != nil {
			ended <- merged
			return
		}
		seen = max(seen, now)
		send()
	}
	send()
	if !<-ended {
		t.Errorf("%d packs after %d writes without a pause: none were merged", seen, durable)
	}
	release()
	fsck(t, dir)
}
