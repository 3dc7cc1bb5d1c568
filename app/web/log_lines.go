package web

import (
	"bytes"
	"sync"

	"github.com/velocity-ci/velocity/app/web/page"
	"github.com/velocity-ci/velocity/architect/build"
)

// blockSize is the step in which lines of logs are counted, in bytes.
const blockSize = 1 << 20

// maxCounted bounds the logs whose counts are remembered. When there are more, all
// are forgotten: to count again costs one reading of a log.
const maxCounted = 256

// A logKey names a log. Its bytes never change: it only grows.
type logKey struct {
	build   build.ID
	task    string
	attempt int
}

// A lineIndex knows how many lines end in each whole block of logs that were looked
// at, so that a line far down a long log is found by reading one block. Its zero
// value is ready; it is safe for concurrent use.
type lineIndex struct {
	mu     sync.Mutex
	counts map[logKey][]int
}

func (x *lineIndex) known(key logKey) []int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.counts[key]
}

// learn remembers the count of the block that follows the n that are known.
func (x *lineIndex) learn(key logKey, n, count int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.counts == nil || x.counts[key] == nil && len(x.counts) >= maxCounted {
		x.counts = map[logKey][]int{}
	}
	if have := x.counts[key]; len(have) == n { // nobody was faster
		x.counts[key] = append(have[:n:n], count)
	}
}

// A reader reads at most limit bytes of a log from an offset on.
type reader func(offset, limit int64) ([]byte, error)

// blocks walks the counts of a log's blocks, until each says that it has enough or
// the log ends. Those that are not known are read; the last one always is.
func (x *lineIndex) blocks(key logKey, read reader, each func(i, count int) bool) error {
	known := x.known(key)
	for i := 0; ; i++ {
		if i < len(known) {
			if !each(i, known[i]) {
				return nil
			}
			continue
		}
		block, err := read(int64(i)*blockSize, blockSize)
		if err != nil {
			return err
		}
		count, last := bytes.Count(block, newline), len(block) < blockSize
		if !last {
			x.learn(key, i, count)
		}
		if !each(i, count) || last {
			return nil
		}
	}
}

var newline = []byte("\n")

// total is how many lines of a log have ended.
func (x *lineIndex) total(key logKey, read reader) (lines int, err error) {
	err = x.blocks(key, read, func(_, count int) bool {
		lines += count
		return true
	})
	return lines, err
}

// find is where a line begins. ok is false if there are not as many.
func (x *lineIndex) find(key logKey, read reader, line int) (at page.Place, ok bool, err error) {
	if line == 1 {
		return page.Place{Number: 1}, true, nil
	}
	before, in := line-1, -1 // so many lines end before it, and the last of these ends in that block
	err = x.blocks(key, read, func(i, count int) bool {
		if count >= before {
			in = i
			return false
		}
		before -= count
		return true
	})
	if err != nil || in < 0 {
		return page.Place{}, false, err
	}
	block, err := read(int64(in)*blockSize, blockSize)
	if err != nil {
		return page.Place{}, false, err
	}
	end := 0
	for range before {
		end += bytes.IndexByte(block[end:], '\n') + 1
	}
	return page.Place{Offset: int64(in)*blockSize + int64(end), Number: line}, true, nil
}
