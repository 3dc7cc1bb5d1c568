package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
)

const streamsHeader = "velocity-streams 1\n"

// An origin is where bytes of a log came from.
type origin uint64

const (
	fromStdout origin = iota
	fromStderr
	fromTail // of either stream, written when their step ended
	origins
)

// A turn says that the bytes of a log from Offset on, up to the next turn, came
// from one origin.
type turn struct {
	Offset int64
	From   origin
}

// parseStreams reads a .streams file. whole is how many of its bytes are
// complete turns: a crash may have cut the last one.
func parseStreams(p []byte) (turns []turn, whole int, err error) {
	rest, ok := bytes.CutPrefix(p, []byte(streamsHeader))
	if !ok {
		return nil, 0, errors.New("parse log streams: not a file of streams of version 1")
	}
	last := int64(0)
	for len(rest) > 0 {
		word, n := binary.Uvarint(rest)
		if n == 0 {
			break
		}
		from, gap := origin(word&3), word>>2
		if n < 0 || from >= origins || gap > uint64(math.MaxInt64-last) {
			return nil, 0, fmt.Errorf("parse log streams: number out of range at byte %d", len(p)-len(rest))
		}
		last += int64(gap)
		turns = append(turns, turn{last, from})
		rest = rest[n:]
	}
	return turns, len(p) - len(rest), nil
}

// A streamsWriter writes a turn whenever the origin changes. It does so before
// the bytes are written, so that no byte is ever without its origin.
type streamsWriter struct {
	file *os.File
	last turn
	some bool
}

func newStreamsWriter(file *os.File) (*streamsWriter, error) {
	_, err := file.WriteString(streamsHeader)
	return &streamsWriter{file: file}, err
}

// turn notes where the bytes from offset on come from. A log that is not to be
// resumed has no writer.
func (w *streamsWriter) turn(t turn) error {
	if w == nil || w.some && w.last.From == t.From {
		return nil
	}
	word := uint64(t.Offset-w.last.Offset)<<2 | uint64(t.From)
	if _, err := w.file.Write(binary.AppendUvarint(nil, word)); err != nil {
		return err
	}
	w.last, w.some = t, true
	return nil
}
