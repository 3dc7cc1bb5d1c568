package spool

import (
	"bytes"
	"iter"
)

// A tail keeps the last bytes of a stream, up to its limit, and their times.
// Positions count from the first byte it was given.
type tail struct {
	limit      int64
	ring       []byte // the byte at position i is at i modulo limit
	start, end int64  // the positions that are kept
	marks      []Mark // by position; those of bytes that are gone may linger
}

const (
	// markGap is the least number of bytes between two times in a tail, so that
	// the times cannot outgrow the bytes.
	markGap = 64

	// firstRing is the size a ring begins with; it grows as it fills.
	firstRing = 64 << 10
)

func (t *tail) write(p []byte, millis int64) {
	if n := len(t.marks); n == 0 || millis > t.marks[n-1].Millis && t.end-t.marks[n-1].Offset >= markGap {
		t.marks = append(t.marks, Mark{t.end, millis})
	}
	if skipped := int64(len(p)) - t.limit; skipped > 0 {
		t.end += skipped
		p = p[skipped:]
	}
	t.grow(int64(len(p)))
	for len(p) > 0 {
		n := copy(t.ring[t.end%t.limit:], p)
		p = p[n:]
		t.end += int64(n)
	}
	t.start = max(t.start, t.end-t.limit)
	t.forget()
}

// grow makes room for n more bytes.
func (t *tail) grow(n int64) {
	if need := min(t.end+n, t.limit); need > int64(len(t.ring)) {
		ring := make([]byte, min(max(2*need, firstRing), t.limit))
		copy(ring, t.ring)
		t.ring = ring
	}
}

// forget drops the marks of bytes that are gone, now and then.
func (t *tail) forget() {
	if old := t.current(); old > len(t.marks)/2 {
		t.marks = append(t.marks[:0], t.marks[old:]...)
	}
}

// current is the index of the mark of the oldest byte that is kept.
func (t *tail) current() int {
	i := 0
	for i+1 < len(t.marks) && t.marks[i+1].Offset <= t.start {
		i++
	}
	return i
}

// cut drops the rest of a line whose beginning is gone, if there is another line
// after it, and returns how many bytes were dropped since the tail began.
func (t *tail) cut() int64 {
	if t.start == 0 {
		return 0
	}
	at := t.start
	for p := range t.pieces(t.start, t.end) {
		if i := bytes.IndexByte(p, '\n'); i >= 0 && at+int64(i)+1 < t.end {
			t.start = at + int64(i) + 1
			break
		}
		at += int64(len(p))
	}
	t.marks = t.marks[t.current():]
	return t.start
}

// each calls f for every run of kept bytes of one time.
func (t *tail) each(f func(p []byte, millis int64)) {
	for i, m := range t.marks {
		to := t.end
		if i+1 < len(t.marks) {
			to = t.marks[i+1].Offset
		}
		for p := range t.pieces(max(t.start, m.Offset), to) {
			f(p, m.Millis)
		}
	}
}

// pieces yields the bytes at the positions from up to to.
func (t *tail) pieces(from, to int64) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for from < to {
			i := from % t.limit
			n := min(t.limit-i, to-from)
			if !yield(t.ring[i : i+n]) {
				return
			}
			from += n
		}
	}
}
