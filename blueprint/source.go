package blueprint

import (
	"bytes"
	"sort"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// A source is the text of one file. It turns the parser's positions into byte
// offsets and back, which is quick as long as the questions move forward.
type source struct {
	name   string
	text   []byte
	starts []int // offsets of the lines; made when first asked for
	last   cursor
}

// A cursor is one place in both notations; line and column count from 1.
type cursor struct{ line, column, offset int }

// newSource takes the text of a file without its byte order mark, if it is text
// that the language allows.
func newSource(name string, text []byte, r *report) (*source, bool) {
	s := &source{name: name, text: bytes.TrimPrefix(text, []byte("\ufeff"))}
	if len(s.text) > MaxFile {
		r.errorf(Position{File: name}, "the file is larger than %d KiB", MaxFile>>10)
		return s, false
	}
	if !utf8.Valid(s.text) {
		r.errorf(s.position(invalidUTF8(s.text)), "the file is not UTF-8 text").Hint = "save it as UTF-8"
		return s, false
	}
	if i := bytes.IndexByte(s.text, 0); i >= 0 {
		r.errorf(s.position(i), "the file holds a NUL byte")
		return s, false
	}
	return s, true
}

func invalidUTF8(text []byte) int {
	for i := 0; i < len(text); {
		c, n := utf8.DecodeRune(text[i:])
		if c == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(text)
}

// lineOffset is where the line's first character that is no space stands.
func (s *source) lineOffset(line int) int {
	text := s.line(line)
	return s.start(line) + len(text) - len(bytes.TrimLeft(text, " \t"))
}

func (s *source) line(line int) []byte {
	text := s.text[s.start(line):s.start(line+1)]
	return bytes.TrimRight(text, "\r\n")
}

// start is the offset of the line; lines beyond the end begin at the end.
func (s *source) start(line int) int {
	if s.starts == nil {
		s.starts = lineStarts(s.text)
	}
	if line > len(s.starts) {
		return len(s.text)
	}
	return s.starts[max(line, 1)-1]
}

// lineStarts knows the same line breaks as the YAML parser does.
func lineStarts(text []byte) []int {
	starts := []int{0}
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\n',
			text[i] == '\r' && (i+1 == len(text) || text[i+1] != '\n'),
			text[i] == 0x85 && i > 0 && text[i-1] == 0xC2,                                           // next line
			(text[i] == 0xA8 || text[i] == 0xA9) && i > 1 && text[i-1] == 0x80 && text[i-2] == 0xE2: // line, paragraph separator
			starts = append(starts, i+1)
		}
	}
	return starts
}

// offset is the reverse of position.
func (s *source) offset(line, column int) int {
	c := cursor{line: line, column: 1, offset: s.start(line)}
	if s.last.line == line && s.last.column <= column {
		c = s.last
	}
	for c.column < column && c.offset < len(s.text) {
		_, n := utf8.DecodeRune(s.text[c.offset:])
		c.offset += n
		c.column++
	}
	s.last = c
	return c.offset
}

// position names the place of a byte.
func (s *source) position(offset int) Position {
	s.start(1)
	line := sort.SearchInts(s.starts, offset+1)
	c := cursor{line: line, column: 1, offset: s.starts[line-1]}
	if s.last.line == line && s.last.offset <= offset {
		c = s.last
	}
	c.column += utf8.RuneCount(s.text[c.offset:offset])
	c.offset = offset
	s.last = c
	return Position{File: s.name, Line: c.line, Column: c.column}
}

// A finder finds the references of one scalar in the file, in order. Quotes,
// folding and indentation change a scalar's bytes, but hardly ever within a
// reference; where they do, the scalar's own position has to serve.
type finder struct {
	src       *source
	next, end int
	scalar    Position
}

func (s *source) finder(n *yaml.Node) *finder {
	from := s.offset(n.Line, n.Column)
	// The scalar's end is not known; its value with room for indentation is near.
	return &finder{
		src: s, next: from, end: min(len(s.text), from+4*len(n.Value)+1024),
		scalar: Position{File: s.name, Line: n.Line, Column: n.Column},
	}
}

// find returns the place of the next reference that is written as ref.
func (f *finder) find(ref string) Position {
	for i := f.next; i < f.end; {
		j := bytes.Index(f.src.text[i:f.end], []byte(ref))
		if j < 0 {
			break
		}
		i += j + 1
		if before := f.src.text[:i]; (len(before)-len(bytes.TrimRight(before, "$")))%2 == 1 {
			f.next = i
			return f.src.position(i - 1)
		}
	}
	return f.scalar
}

// isNull reports whether nothing was written for a value, or `null`.
func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Tag == "!!null"
}
