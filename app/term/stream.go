package term

import "bytes"

const (
	maxLine   = 64 << 10 // bytes; a longer line is broken
	tailBytes = 8 << 10  // kept per task for the summary
	tailLines = 20
)

// A stream puts the bytes of one attempt's log together to lines.
type stream struct {
	partial []byte // a line whose end has not come yet
	tail    []byte // the last bytes, between one and two times tailBytes
}

// add hands on the complete lines of data, newlines included, in blocks of one
// or more, and keeps the rest. A block is valid until emit returns.
func (s *stream) add(data []byte, emit func(block []byte)) {
	s.keep(data)
	if len(s.partial) > 0 {
		end := bytes.IndexByte(data, '\n') + 1
		if end == 0 {
			s.hold(data, emit)
			return
		}
		s.partial = append(s.partial, data[:end]...)
		emit(s.partial)
		s.partial, data = s.partial[:0], data[end:]
	}
	end := bytes.LastIndexByte(data, '\n') + 1
	if end > 0 {
		emit(data[:end])
	}
	s.hold(data[end:], emit)
}

// hold keeps the beginning of a line, up to a limit.
func (s *stream) hold(data []byte, emit func([]byte)) {
	s.partial = append(s.partial, data...)
	if len(s.partial) >= maxLine {
		s.flush(emit)
	}
}

// flush ends a line that its writer has not ended.
func (s *stream) flush(emit func([]byte)) {
	if len(s.partial) == 0 {
		return
	}
	s.partial = append(s.partial, '\n')
	emit(s.partial)
	s.partial = s.partial[:0]
}

func (s *stream) keep(data []byte) {
	data = data[max(0, len(data)-tailBytes):]
	s.tail = append(s.tail, data...)
	if len(s.tail) > 2*tailBytes {
		s.tail = append(s.tail[:0], s.tail[len(s.tail)-tailBytes:]...)
	}
}

// last gives the last lines of the log, at most tailLines.
func (s *stream) last() [][]byte {
	text := bytes.TrimRight(s.tail, "\r\n")
	if len(text) == 0 {
		return nil
	}
	lines := bytes.Split(text, []byte("\n"))
	return lines[max(0, len(lines)-tailLines):]
}
