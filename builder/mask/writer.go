package mask

import (
	"fmt"
	"io"
	"os"
)

// A Writer masks one stream. It is not safe for concurrent use: stdout and
// stderr each need their own, before they are merged.
type Writer struct {
	dst    io.Writer
	scan   scanner
	held   []byte // read, not yet settled
	joined []byte // reused: held and what came after
	out    []byte // reused: text with marks
	err    error
}

// Writer returns a Writer that passes on to w what it is given, masked. Close it
// at the end of the stream, or its last bytes may be missing.
func (m *Masker) Writer(w io.Writer) *Writer {
	return &Writer{dst: w, scan: scanner{auto: m.auto}}
}

// Write passes p on as far as it is settled. An error of the writer below is
// final: it is returned from every later call.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.scan.auto == nil {
		return w.dst.Write(p)
	}
	w.scan.write(p)
	if w.pass(p, w.scan.settled()); w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// Close passes on what was held back and ends the stream. It does not close the
// writer below.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	w.pass(nil, w.scan.pos)
	if w.err != nil {
		return w.err
	}
	w.err = fmt.Errorf("write masked output: %w", os.ErrClosed)
	return nil
}

// pass hands over everything up to position to and keeps the rest. p, the bytes
// just read, are not copied unless there is something to mask.
func (w *Writer) pass(p []byte, to int64) {
	from := w.scan.pos - int64(len(p)) - int64(len(w.held))
	n := int(to - from)
	if len(w.scan.spans) > 0 {
		w.joined = append(append(w.joined[:0], w.held...), p...)
		w.out = w.scan.compose(w.out[:0], w.joined, from, to)
		w.held = append(w.held[:0], w.joined[n:]...)
		w.forward(w.out)
		return
	}
	if n < len(w.held) {
		w.forward(w.held[:n])
		w.held = append(append(w.held[:0], w.held[n:]...), p...)
		return
	}
	n -= len(w.held)
	w.forward(w.held)
	w.held = append(w.held[:0], p[n:]...)
	w.forward(p[:n])
}

func (w *Writer) forward(p []byte) {
	if w.err != nil || len(p) == 0 {
		return
	}
	if n, err := w.dst.Write(p); err != nil {
		w.err = fmt.Errorf("write masked output: %w", err)
	} else if n < len(p) {
		w.err = fmt.Errorf("write masked output: %w", io.ErrShortWrite)
	}
}
