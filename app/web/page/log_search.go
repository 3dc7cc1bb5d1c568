package page

import (
	"bytes"
	"strings"
)

// A Search is what was looked for in a log, and lines that have it.
type Search struct {
	Text  string
	Found []Match
	// Unread says that a part of the log was not looked through: that behind Later.
	Unread bool

	First, Earlier, Later string // queries of other matches; "" if there are none
}

// A Match is a line that was found.
type Match struct {
	Line
	Query string // of the window that has it
}

// A Needle is a text that lines are searched for, in any case. It is for one
// goroutine.
type Needle struct {
	lower  string
	buffer []byte
}

// NewNeedle is one for a text that is not "".
func NewNeedle(text string) *Needle { return &Needle{lower: strings.ToLower(text)} }

// In reports whether what is shown of a line, given as Each gives it, has the text.
func (n *Needle) In(line []byte) bool {
	line = line[:min(len(line), MaxLine)]
	if !isPlain(line) {
		return strings.Contains(strings.ToLower(plain(Spans(line))), n.lower)
	}
	n.buffer = n.buffer[:0]
	for _, c := range line {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		n.buffer = append(n.buffer, c)
	}
	return bytes.Contains(n.buffer, []byte(n.lower))
}

// isPlain reports whether a line is shown as it is, letter by letter.
func isPlain(line []byte) bool {
	for _, c := range line {
		if (c < ' ' || c > '~') && c != '\t' {
			return false
		}
	}
	return true
}
