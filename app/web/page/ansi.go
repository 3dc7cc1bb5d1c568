package page

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/velocity-ci/velocity/app/term"
)

// A Span is a piece of a line that looks the same throughout.
type Span struct {
	Class string // names of style classes, with spaces between; "" for plain text
	Text  string
}

// hiddenClass marks a span that names a code point instead of being it.
const hiddenClass = "cp"

// Spans reads a line that a program printed for a terminal, without its end. Of the
// control sequences it knows colours and weights (SGR); all else that would move a
// cursor, name a window or reprogram a terminal is dropped. As on paper, the line
// begins anew after a carriage return. Colours end with the line: each can be read
// without those before it.
func Spans(line []byte) []Span {
	s := spanner{}
	for line = trimReturns(line); len(line) > 0; {
		if line[0] == 0x1b {
			n := term.Sequence(line)
			if codes, ok := sgr(line[:n]); ok {
				s.flush()
				s.look.apply(codes)
			}
			line = line[n:]
			continue
		}
		if n := printable(line); n > 0 {
			s.text.Write(line[:n])
			line = line[n:]
			continue
		}
		r, n := utf8.DecodeRune(line)
		line = line[n:]
		switch {
		case r == '\r':
			s = spanner{}
		case hidden(r):
			s.flush()
			s.spans = append(s.spans, Span{hiddenClass, codePoint(r)})
		case !control(r):
			s.text.WriteRune(r)
		}
	}
	s.flush()
	return s.spans
}

// printable is how many bytes at the beginning of a line are ASCII that needs no
// second look, which is most of what programs print.
func printable(line []byte) int {
	for i, c := range line {
		if c < ' ' || c > '~' {
			return i
		}
	}
	return len(line)
}

// plain is what of spans is text.
func plain(spans []Span) string {
	var out strings.Builder
	for _, s := range spans {
		out.WriteString(s.Text)
	}
	return out.String()
}

func trimReturns(line []byte) []byte {
	for len(line) > 0 && line[len(line)-1] == '\r' {
		line = line[:len(line)-1]
	}
	return line
}

// A spanner collects spans.
type spanner struct {
	spans []Span
	text  strings.Builder
	look  look
}

func (s *spanner) flush() {
	if s.text.Len() > 0 {
		s.spans = append(s.spans, Span{s.look.classes(), s.text.String()})
		s.text.Reset()
	}
}

// maxCodes bounds the numbers of one sequence that are looked at.
const maxCodes = 32

// sgr reads ESC [ numbers m.
func sgr(sequence []byte) (codes []int, ok bool) {
	if len(sequence) < 3 || sequence[1] != '[' || sequence[len(sequence)-1] != 'm' {
		return nil, false
	}
	numbers := strings.ReplaceAll(string(sequence[2:len(sequence)-1]), ":", ";")
	if strings.Trim(numbers, "0123456789;") != "" {
		return nil, false
	}
	for text := range strings.SplitSeq(numbers, ";") {
		n, err := strconv.Atoi(text)
		if err != nil {
			n = 0 // a number left out is 0, and one that is too long means nothing
		}
		if codes = append(codes, n); len(codes) == maxCodes {
			break
		}
	}
	return codes, true
}

// A look is how text is shown. Colours are 1 to 16, as terminals number them from
// 0; 0 is the page's own.
type look struct {
	bold, dim, italic, underline, inverse, strike bool
	text, ground                                  int
}

// apply takes the numbers of one sequence.
func (l *look) apply(codes []int) {
	for i := 0; i < len(codes); i++ {
		switch c := codes[i]; {
		case c == 0:
			*l = look{}
		case c == 38 || c == 48:
			colour, used := extended(codes[i+1:])
			if i += used; c == 38 {
				l.text = colour
			} else {
				l.ground = colour
			}
		case c >= 30 && c <= 37:
			l.text = c - 30 + 1
		case c >= 90 && c <= 97:
			l.text = c - 90 + 9
		case c >= 40 && c <= 47:
			l.ground = c - 40 + 1
		case c >= 100 && c <= 107:
			l.ground = c - 100 + 9
		default:
			l.weigh(c)
		}
	}
}

func (l *look) weigh(code int) {
	switch code {
	case 1:
		l.bold = true
	case 2:
		l.dim = true
	case 3:
		l.italic = true
	case 4:
		l.underline = true
	case 7:
		l.inverse = true
	case 9:
		l.strike = true
	case 22:
		l.bold, l.dim = false, false
	case 23:
		l.italic = false
	case 24:
		l.underline = false
	case 27:
		l.inverse = false
	case 29:
		l.strike = false
	case 39:
		l.text = 0
	case 49:
		l.ground = 0
	}
}

// classes are the names of the look's style classes.
func (l *look) classes() string {
	var names []string
	for _, c := range []struct {
		on   bool
		name string
	}{{l.bold, "b"}, {l.dim, "d"}, {l.italic, "i"}, {l.underline, "u"}, {l.inverse, "v"}, {l.strike, "s"}} {
		if c.on {
			names = append(names, c.name)
		}
	}
	if l.text > 0 {
		names = append(names, fmt.Sprintf("f%d", l.text-1))
	}
	if l.ground > 0 {
		names = append(names, fmt.Sprintf("g%d", l.ground-1))
	}
	return strings.Join(names, " ")
}

// extended reads what follows 38 or 48: 5;N of 256 colours, or 2;R;G;B. It returns
// the nearest of the sixteen, and how many numbers it took.
func extended(codes []int) (colour, used int) {
	switch {
	case len(codes) >= 2 && codes[0] == 5:
		return indexed(codes[1]), 2
	case len(codes) >= 4 && codes[0] == 2:
		return nearest(codes[1], codes[2], codes[3]), 4
	}
	return 0, len(codes) // nobody knows where it ends
}

// indexed is one of the 256: the sixteen, a cube of 6 steps a side, 24 greys.
func indexed(n int) int {
	switch {
	case n < 0 || n > 255:
		return 0
	case n < 16:
		return n + 1
	case n < 232:
		n -= 16
		return nearest(51*(n/36), 51*(n/6%6), 51*(n%6))
	}
	grey := 8 + 10*(n-232)
	return nearest(grey, grey, grey)
}

// nearest is which of the eight corners of the colour cube is closest, in the
// bright row if the colour is bright. Pages have their own shades of these, which
// can be read on light and on dark.
func nearest(r, g, b int) int {
	brightest := max(r, g, b)
	if spread := brightest - min(r, g, b); spread < 32 { // greys
		switch {
		case brightest < 64:
			return 1
		case brightest < 144:
			return 9
		case brightest < 224:
			return 8
		}
		return 16
	}
	colour := 1
	for bit, part := range []int{r, g, b} {
		if 2*part > brightest {
			colour += 1 << bit
		}
	}
	if brightest >= 192 {
		colour += 8
	}
	return colour
}
