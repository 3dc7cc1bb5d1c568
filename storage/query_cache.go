package storage

import (
	"sync"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage/git"
)

// maxDecoded bounds the builds that a store keeps decoded, in bytes of their
// build.json; in memory they take about three times as much.
const maxDecoded = 8 << 20

// decoded remembers builds by the tree they were read from, which never changes.
// When full it forgets all: what is asked for again comes back at once.
type decoded struct {
	mu    sync.Mutex
	held  int
	known map[git.Hash]*build.Build
}

// get returns a copy that is the caller's.
func (d *decoded) get(tree git.Hash) (*build.Build, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b, ok := d.known[tree]
	if !ok {
		return nil, false
	}
	return b.Clone(), true
}

// put keeps a copy of b, whose record has so many bytes.
func (d *decoded) put(tree git.Hash, b *build.Build, size int) {
	if size > maxDecoded/16 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil || d.held+size > maxDecoded {
		d.known, d.held = map[git.Hash]*build.Build{}, 0
	}
	if _, ok := d.known[tree]; !ok {
		d.known[tree], d.held = b.Clone(), d.held+size
	}
}
