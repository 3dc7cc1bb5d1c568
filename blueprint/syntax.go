package blueprint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// documents parses the file and returns the roots of its documents, empty ones
// left out. A mistake in the syntax ends the reading: what follows it would only
// be guessed.
func (s *source) documents(r *report) (docs []*yaml.Node, ok bool) {
	docs, err := parse(s.text)
	if err != nil {
		s.syntaxError(r, err)
	}
	return docs, err == nil
}

// parse returns the documents before the first mistake, if there is one.
func parse(text []byte) (docs []*yaml.Node, err error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc yaml.Node
		switch err := decode(dec, &doc); {
		case errors.Is(err, io.EOF):
			return docs, nil
		case err != nil:
			return docs, err
		case len(doc.Content) == 1 && !isNull(doc.Content[0]):
			docs = append(docs, doc.Content[0])
		}
	}
}

// decode turns a panic into an error. The parser panics over inputs that it did
// not expect, and asks people to report them: a file from outside must not end
// the program.
func decode(dec interface{ Decode(any) error }, doc *yaml.Node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the parser gave up: %v", p)
		}
	}()
	return dec.Decode(doc)
}

// syntaxError makes a finding of the parser's message.
func (s *source) syntaxError(r *report, err error) {
	msg, line := parserMessage(err)
	at := s.position(s.lineOffset(max(line, 1)))
	if name, ok := strings.CutPrefix(msg, "unknown anchor '"); ok {
		name, _, _ = strings.Cut(name, "'")
		at = s.position(max(0, bytes.Index(s.text, []byte("*"+name))))
	} else if len(s.text) <= maxSearched && !r.full() {
		at = s.position(s.lineOffset(s.firstBadLine(msg)))
	}
	f := r.errorf(at, "not valid YAML: %s", msg)
	text := s.line(at.Line)
	switch {
	case strings.Contains(msg, "cannot start any token") && bytes.Contains(text, []byte("\t")):
		f.Hint = "YAML is indented with spaces, never with tabs"
	case strings.Contains(msg, "did not find expected ','") && bytes.Contains(text, []byte("${")):
		f.Hint = "put texts with ${…} in quotes within [ ] and { }"
	}
}

// parserMessage splits the parser's message from the line that it names, 0 if
// none.
func parserMessage(err error) (msg string, line int) {
	msg = strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(msg, "line "); ok {
		if number, text, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(number); err == nil {
				return text, n
			}
		}
	}
	return msg, 0
}

// maxSearched is the size of the largest file in which firstBadLine looks for the
// line, in bytes: it parses the file a dozen times.
const maxSearched = 8 << 10

// firstBadLine is the line whose presence makes the parser complain. The parser
// itself names the line in which the list or mapping around it begins.
func (s *source) firstBadLine(msg string) int {
	s.start(1)
	return 1 + sort.Search(len(s.starts)-1, func(i int) bool {
		_, err := parse(s.text[:s.start(i+2)])
		if err == nil {
			return false
		}
		same, _ := parserMessage(err)
		return same == msg
	})
}
