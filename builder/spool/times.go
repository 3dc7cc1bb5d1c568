package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
)

const timesHeader = "velocity-times 1\n"

// A Mark says when the bytes of a log from Offset on were written, up to the
// Offset of the next Mark.
type Mark struct {
	Offset int64
	Millis int64 // since the log began
}

// ParseTimes reads a .times file, whole or up to where a crash cut it off.
func ParseTimes(p []byte) ([]Mark, error) {
	rest, ok := bytes.CutPrefix(p, []byte(timesHeader))
	if !ok {
		return nil, errors.New("parse log times: not a file of times of version 1")
	}
	var marks []Mark
	var last Mark
	for len(rest) > 0 {
		offset, n := binary.Uvarint(rest)
		if n == 0 {
			break
		}
		millis, m := binary.Uvarint(rest[max(n, 0):])
		if m == 0 && n > 0 {
			break
		}
		if n < 0 || m < 0 || offset > uint64(math.MaxInt64-last.Offset) || millis > uint64(math.MaxInt64-last.Millis) {
			return nil, fmt.Errorf("parse log times: number out of range at byte %d", len(p)-len(rest))
		}
		last = Mark{last.Offset + int64(offset), last.Millis + int64(millis)}
		marks = append(marks, last)
		rest = rest[n+m:]
	}
	return marks, nil
}

// appendMark appends m, which follows last, to p.
func appendMark(p []byte, last, m Mark) []byte {
	p = binary.AppendUvarint(p, uint64(m.Offset-last.Offset))
	return binary.AppendUvarint(p, uint64(m.Millis-last.Millis))
}

// A timesWriter writes marks, at most one for a millisecond: however short the
// lines of a flood are, their times stay small.
type timesWriter struct {
	file    *os.File
	buf     []byte
	last    Mark
	some    bool
	flushed int64 // millis
	size    int64 // bytes written
}

const (
	timesBuffer = 4 << 10 // bytes of marks that may wait for being written
	timesDelay  = 1000    // milliseconds they may wait, as long as marks come
)

func newTimesWriter(file *os.File) *timesWriter {
	return &timesWriter{file: file, buf: []byte(timesHeader)}
}

// mark notes m unless the mark before says the same. A clock that was set back
// counts as one that stands still.
func (w *timesWriter) mark(m Mark) error {
	m.Millis = max(m.Millis, w.last.Millis)
	if w.some && m.Millis == w.last.Millis {
		return nil
	}
	w.buf = appendMark(w.buf, w.last, m)
	w.last, w.some = m, true
	if len(w.buf) < timesBuffer && m.Millis-w.flushed < timesDelay {
		return nil
	}
	return w.flush()
}

// flush writes the marks that wait. A log without bytes has no writer, and none.
func (w *timesWriter) flush() error {
	if w == nil {
		return nil
	}
	n, err := w.file.Write(w.buf)
	w.size += int64(n)
	w.buf = w.buf[:0]
	w.flushed = w.last.Millis
	return err
}
