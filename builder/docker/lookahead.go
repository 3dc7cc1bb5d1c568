package docker

import (
	"bytes"
	"io"
	"sync"
	"time"
)

const (
	// aheadFree is how many bytes are read ahead of the writers at full speed.
	aheadFree = 256 << 10
	// aheadMost is how many are read ahead at all.
	aheadMost = 32 << 20
	// aheadChunk is read at a time, and once per aheadPause beyond aheadFree.
	aheadChunk = 64 << 10
	aheadPause = 250 * time.Millisecond
)

// A lookahead reads a container's output ahead of writers that stall.
//
// Plain backpressure would lose the end of a log: when a container exits, the
// engine gives its last output two seconds to be taken and then drops what is
// still in its pipes (64 KiB a stream), without a word. So a stall slows the
// reading down but does not stop it at once: at four chunks a second those two
// seconds suffice, and a writer may stall for about two minutes of a flood
// before the container is held still.
type lookahead struct {
	mu      sync.Mutex
	changed sync.Cond // the buffer got data, or err was set
	buffer  bytes.Buffer
	err     error
	room    chan struct{} // holds one signal that something was taken out

	// pause tells, for a number of bytes held above aheadFree, when more may be
	// read although nothing was taken out; nil is never.
	pause func(held int) <-chan time.Time
}

func newLookahead() *lookahead {
	l := &lookahead{room: make(chan struct{}, 1), pause: aheadPauses}
	l.changed.L = &l.mu
	return l
}

func aheadPauses(held int) <-chan time.Time {
	if held >= aheadMost {
		return nil
	}
	return time.After(aheadPause)
}

// fill reads src to its end. It returns only if somebody reads l to its end.
func (l *lookahead) fill(src io.Reader) {
	chunk := make([]byte, aheadChunk)
	for {
		n, err := src.Read(chunk)
		held := l.put(chunk[:n], err)
		if err != nil {
			return
		}
		for paused := false; held > aheadFree && !paused; {
			select {
			case <-l.room:
				held = l.held()
			case <-l.pause(held):
				paused = true
			}
		}
	}
}

func (l *lookahead) put(p []byte, err error) (held int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buffer.Write(p)
	l.err = err
	l.changed.Signal()
	return l.buffer.Len()
}

func (l *lookahead) held() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Len()
}

// Read waits for data, and returns the source's error once all was read.
func (l *lookahead) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.buffer.Len() == 0 {
		if l.err != nil {
			return 0, l.err
		}
		l.changed.Wait()
	}
	n, _ := l.buffer.Read(p) // not empty: no error
	select {
	case l.room <- struct{}{}:
	default:
	}
	return n, nil
}
