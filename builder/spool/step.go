package spool

import (
	"bytes"
	"fmt"
	"io"
)

// maxTail bounds the memory a step's tail may take, whatever the cap is.
const maxTail = 16 << 20

// A Step is the part of a log that one step writes. Its two streams are masked
// by whoever writes into them, may be written by different goroutines, and take
// everything: their Write never fails, unless the step was taken up again (see
// Resume). Close both, then the Step.
type Step struct {
	Stdout, Stderr io.WriteCloser

	log    *Log
	from   int64
	room   int64 // bytes that may still be written through
	tail   tail  // what came when there was no room left
	closed bool

	resumed bool
	past    [origins]past // by origin
	err     error         // why nothing more is taken of a resumed step
}

// A Range is a part of a log's bytes, from From up to To.
type Range struct{ From, To int64 }

// Step begins a step at the current end of the log. Steps do not overlap.
//
// Three quarters of the cap are written through, the last quarter of what comes
// after that is kept in memory (16 MiB at most) and written by Close.
func (l *Log) Step() *Step {
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := max(1, min(l.o.Cap/4, maxTail))
	s := &Step{log: l, from: l.size, room: l.o.Cap - kept, tail: tail{limit: kept}}
	s.Stdout, s.Stderr = &stream{step: s, from: fromStdout}, &stream{step: s, from: fromStderr}
	return s
}

// Stream is a further stream beside Stdout and Stderr, to be closed like them. A
// step that has one is not taken up again.
func (s *Step) Stream() io.WriteCloser { return &stream{step: s, from: fromTail} }

// Close ends the step and returns where its bytes are.
func (s *Step) Close() Range {
	l := s.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if left := s.tail.cut(); left > 0 {
		gap := fmt.Sprintf("[velocity: %d bytes left out here: the log of a step is capped at %s]\n", left, sizeName(l.o.Cap))
		if !l.ended {
			gap = "\n" + gap
		}
		l.append(fromTail, []byte(gap), s.tail.marks[0].Millis)
	}
	s.tail.each(func(p []byte, millis int64) { l.append(fromTail, p, millis) })
	s.tail.ring = nil
	s.closed = true
	l.note(l.times.flush())
	return Range{From: s.from, To: l.size}
}

// write takes the next bytes of the step, in one piece as far as other streams
// are concerned: first and then second.
func (s *Step) write(from origin, first, second []byte) {
	l := s.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.closed {
		return
	}
	millis := l.now()
	for _, p := range [][]byte{first, second} {
		if len(s.past[from].ranges) > 0 && s.err == nil {
			p, s.err = s.past[from].skip(p)
		}
		if s.err != nil {
			return
		}
		n := s.fitting(p)
		l.append(from, p[:n], millis)
		s.room -= int64(n)
		if n < len(p) {
			s.tail.limit += s.room // no byte is lost below the cap
			s.room = 0             // and none that comes later overtakes these
			s.tail.write(p[n:], millis)
		}
	}
}

// fitting is how many bytes of p may be written through; where not all of them
// may, the cut is between two lines if there is such a place near.
func (s *Step) fitting(p []byte) int {
	if int64(len(p)) <= s.room {
		return len(p)
	}
	near := max(0, s.room-min(maxPartial, s.log.o.Cap/8))
	line := bytes.LastIndexByte(p[near:s.room], '\n')
	if line < 0 && (near > 0 || !s.log.ended) {
		return int(s.room)
	}
	return int(near) + line + 1
}

// sizeName is n as a person would write it, exactly.
func sizeName(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}
