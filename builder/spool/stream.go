package spool

import (
	"bytes"
	"sync"
	"time"
)

const (
	// maxPartial is how many bytes may wait for the end of their line.
	maxPartial = 64 << 10

	// patience is how long they may wait: prompts and progress show live.
	patience = 100 * time.Millisecond
)

// A stream hands whole lines to its step, so that the lines of two streams do
// not mix. It fails only where Resume says so.
type stream struct {
	step *Step
	from origin

	mu      sync.Mutex
	partial []byte
	line    int         // counts partial lines, so that a late timer knows it is late
	stop    func() bool // of the timer for partial; nil if there is none
}

func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rest := p
	if end := bytes.LastIndexByte(p, '\n') + 1; end > 0 {
		s.flush(p[:end])
		rest = p[end:]
	}
	if len(s.partial)+len(rest) > maxPartial {
		s.flush(rest)
		rest = nil
	}
	if len(rest) > 0 {
		s.partial = append(s.partial, rest...)
		s.wait()
	}
	return len(p), s.step.differs()
}

// Close passes on a last line without newline. It never fails.
func (s *stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush(nil)
	return nil
}

// flush passes on what waits and then p.
func (s *stream) flush(p []byte) {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
	if len(s.partial)+len(p) > 0 {
		s.step.write(s.from, s.partial, p)
	}
	s.partial = s.partial[:0]
	s.line++
}

// wait sets a timer for the partial line unless there is one.
func (s *stream) wait() {
	if s.stop != nil {
		return
	}
	line := s.line
	s.stop = s.step.log.o.After(patience, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.line == line {
			s.flush(nil)
		}
	})
}
