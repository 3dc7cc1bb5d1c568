package spool

import "bytes"

// append writes p, whose first byte came at millis. The caller holds l.mu.
func (l *Log) append(from origin, p []byte, millis int64) {
	if l.err != nil || len(p) == 0 {
		return
	}
	if l.text == nil {
		if l.note(l.open()); l.err != nil {
			return
		}
	}
	l.note(l.times.mark(Mark{Offset: l.size, Millis: millis}))
	if l.note(l.streams.turn(turn{l.size, from})); l.err != nil {
		return
	}
	n, err := l.text.Write(p)
	l.note(err)
	if p = p[:n]; n == 0 {
		return
	}
	l.sum.Write(p)
	l.lines += int64(bytes.Count(p, []byte{'\n'}))
	l.ended = p[n-1] == '\n'
	offset := l.size
	l.size += int64(n)
	if l.o.OnAppend != nil {
		l.o.OnAppend(offset, p)
	}
}
