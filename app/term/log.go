package term

import (
	"bytes"
	"fmt"
	"time"
)

// A Log is a stored log and how to print it.
type Log struct {
	Text []byte
	// Since, if not nil, tells for each line when it was written, counted from the
	// log's beginning. It is asked in the order of the offsets.
	Since func(offset int64) time.Duration
}

// Log prints a log. On a terminal it is made safe, elsewhere the bytes stay as
// they are.
func (p Page) Log(l Log, terminal bool) error {
	if l.Since == nil && !terminal {
		_, err := p.Out.Write(l.Text)
		return err
	}
	var out []byte
	offset := int64(0)
	for line := range bytes.Lines(l.Text) {
		if l.Since != nil {
			out = fmt.Appendf(out, "%10.3fs  ", l.Since(offset).Seconds())
		}
		offset += int64(len(line))
		line = bytes.TrimSuffix(line, []byte("\n"))
		if terminal {
			line = appendClean(nil, line, p.Colour)
		}
		out = append(append(out, line...), '\n')
		if len(out) >= maxLine {
			if _, err := p.Out.Write(out); err != nil {
				return err
			}
			out = out[:0]
		}
	}
	_, err := p.Out.Write(out)
	return err
}
