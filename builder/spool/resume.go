package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// ErrDiffers says that the streams of a resumed step do not begin with what the
// log already holds of them.
var ErrDiffers = errors.New("the output differs from what the log holds of it")

// Resume takes up the step that began at from, the last of a reopened log. Its
// streams are given all that they were given before, from the first byte on, and
// what follows. What the log holds is compared and not written again; bytes that
// differ make Write and Replayed return ErrDiffers, and nothing more is written.
func (l *Log) Resume(from int64) (*Step, error) {
	s := l.Step()
	l.mu.Lock()
	defer l.mu.Unlock()
	if from < 0 || from > l.size {
		return nil, fmt.Errorf("take up a step: its log begins at %d of %d bytes", from, l.size)
	}
	s.from = from
	s.room = max(0, s.room-(l.size-from))
	s.resumed = true
	if l.streams == nil {
		return s, nil
	}
	turns, _, err := l.streams.read()
	if err != nil {
		return nil, fmt.Errorf("take up a step: %w", err)
	}
	for i, t := range turns {
		to := l.size
		if i+1 < len(turns) {
			to = min(turns[i+1].Offset, to)
		}
		r := Range{max(t.Offset, from), to}
		switch {
		case r.From >= r.To:
		case t.From == fromTail:
			return nil, errors.New("take up a step: it had ended")
		default:
			s.past[t.From].ranges = append(s.past[t.From].ranges, r)
		}
	}
	s.past[fromStdout].text, s.past[fromStderr].text = l.text, l.text
	return s, nil
}

// Replayed returns nil once both streams gave again all that the log held of
// them.
func (s *Step) Replayed() error {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	if s.err == nil && len(s.past[fromStdout].ranges)+len(s.past[fromStderr].ranges) > 0 {
		return ErrDiffers
	}
	return s.err
}

// differs is why nothing more of the step is taken, or nil.
func (s *Step) differs() error {
	if !s.resumed {
		return nil
	}
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.err
}

// A past is what the log holds of one stream and has not been given again.
type past struct {
	text   io.ReaderAt
	ranges []Range
}

// skip returns what follows the past in p. The beginning of p must be equal to
// it, as far as both go.
func (h *past) skip(p []byte) ([]byte, error) {
	var buf [32 << 10]byte
	for len(p) > 0 && len(h.ranges) > 0 {
		r := &h.ranges[0]
		n := min(int64(len(p)), int64(len(buf)), r.To-r.From)
		if _, err := h.text.ReadAt(buf[:n], r.From); err != nil {
			return nil, fmt.Errorf("read log: %w", err)
		}
		if !bytes.Equal(buf[:n], p[:n]) {
			return nil, ErrDiffers
		}
		p = p[n:]
		if r.From += n; r.From == r.To {
			h.ranges = h.ranges[1:]
		}
	}
	return p, nil
}
