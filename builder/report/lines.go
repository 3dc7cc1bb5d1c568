package report

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/velocity-ci/velocity/architect/build"
)

// Limits on what is read of a log.
const (
	maxLine     = 1 << 10 // bytes of a line that are looked at
	maxMentions = 2000    // lines that name a place, repeats included
)

// Lines looks for places in the output of a step, in the forms
//
//	file:line: message, file:line:column: message   gcc, clang, go, mypy, shellcheck, eslint -f unix …
//	file(line,column): error CODE: message          tsc, MSVC, C#
//	--> file:line:column                            rustc, after a line with the message
//
// Writers of it may be used at the same time.
type Lines struct {
	mu       sync.Mutex
	mentions []mention
}

// A mention is a line that names a place which may be a file of ours.
type mention struct {
	file, level, code, message string
	line, column               int
}

// A Stream is one stream of a step's output. It is written by one goroutine.
type Stream struct {
	lines   *Lines
	partial []byte // the beginning of a line that has no end yet
	long    bool   // the line is longer than what is looked at
	rust    string // what rustc said before it names the place
}

// Stream begins another stream.
func (l *Lines) Stream() *Stream { return &Stream{lines: l} }

// Write looks at the lines that are complete. It never fails.
func (s *Stream) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			s.keep(p)
			break
		}
		line := p[:end]
		if len(s.partial) > 0 || s.long {
			s.keep(line)
			line = s.partial
		}
		s.look(line[:min(len(line), maxLine)])
		s.partial, s.long = s.partial[:0], false
		p = p[end+1:]
	}
	return n, nil
}

func (s *Stream) keep(p []byte) {
	room := maxLine - len(s.partial)
	s.long = s.long || len(p) > room
	s.partial = append(s.partial, p[:min(len(p), room)]...)
}

// lineForms are the expressions that lines are matched with.
type lineForms struct{ unix, microsoft, rust, rustHead, severity, colours *regexp.Regexp }

// forms are compiled when the first line may name a place: most runs of the
// program see none.
var forms = sync.OnceValue(func() lineForms {
	return lineForms{
		unix:      regexp.MustCompile(`^(?:vet: )?((?:[A-Za-z]:)?[^\s:(][^:(]*):(\d{1,7})(?::(\d{1,5}))?:\s*(.*)$`),
		microsoft: regexp.MustCompile(`^\s*([^\s(:][^(:]*)\((\d{1,7})(?:,(\d{1,5}))?\)\s*:\s*(.*)$`),
		rust:      regexp.MustCompile(`^\s*--> ([^\s:][^:]*):(\d{1,7}):(\d{1,5})$`),
		rustHead:  regexp.MustCompile(`^(error|warning)(\[\w+\])?: .+`),
		severity:  regexp.MustCompile(`^(?i)(fatal error|error|warning|note|info|information|style|hint)\b(?:[ \[]([A-Z]+\d+)\]?)?\s*:?\s*(.*)$`),
		colours:   regexp.MustCompile("\x1b\\[[0-9;:]*[A-Za-z]"),
	}
})

// look reads one line. Most lines of most logs have no digit after a colon or a
// bracket, and cost next to nothing.
func (s *Stream) look(line []byte) {
	if !mayName(line) {
		return
	}
	forms := forms()
	text := strings.TrimRight(forms.colours.ReplaceAllString(string(line), ""), "\r")
	if forms.rustHead.MatchString(text) {
		s.rust = text
		return
	}
	if m := forms.rust.FindStringSubmatch(text); m != nil {
		if s.rust != "" {
			s.lines.add(m[1], m[2], m[3], s.rust)
		}
		s.rust = ""
		return
	}
	for _, form := range []*regexp.Regexp{forms.unix, forms.microsoft} {
		if m := form.FindStringSubmatch(text); m != nil {
			s.lines.add(m[1], m[2], m[3], m[4])
			return
		}
	}
}

// mayName reports whether a line could have one of the forms.
func mayName(line []byte) bool {
	if bytes.HasPrefix(line, []byte("error")) || bytes.HasPrefix(line, []byte("warning")) {
		return true
	}
	return digitAfter(line, ':') || digitAfter(line, '(') || bytes.IndexByte(line[:min(len(line), 16)], 0x1b) >= 0 // coloured
}

// digitAfter reports whether c stands before a digit.
func digitAfter(line []byte, c byte) bool {
	for {
		i := bytes.IndexByte(line, c)
		if i < 0 || i+1 == len(line) {
			return false
		}
		if line = line[i+1:]; line[0] >= '0' && line[0] <= '9' {
			return true
		}
	}
}

func (l *Lines) add(file, line, column, message string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.mentions) == maxMentions {
		return
	}
	m := mention{file: file, level: build.LevelError, message: strings.TrimSpace(message)}
	m.line, _ = strconv.Atoi(line)
	m.column, _ = strconv.Atoi(column) // 0 if there is none
	if said := forms().severity.FindStringSubmatch(m.message); said != nil {
		m.level, m.code, m.message = levelOf(said[1]), said[2], said[3]
	}
	l.mentions = append(l.mentions, m)
}

func levelOf(word string) string {
	switch word := strings.ToLower(word); {
	case strings.HasSuffix(word, "error"):
		return build.LevelError
	case word == "warning":
		return build.LevelWarning
	}
	return build.LevelNotice
}

// Findings are the mentions of files that are there, each once.
func (l *Lines) Findings(places *Places) []build.Finding {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []build.Finding
	seen := map[build.Finding]bool{}
	for _, m := range l.mentions {
		f := build.Finding{
			Kind: build.FromCompiler, Name: m.code, File: places.find(m.file), Line: m.line, Column: m.column,
			Level: m.level, Message: m.message,
		}
		if f.File == "" || f.Message == "" || f.Line == 0 || seen[f] {
			continue
		}
		seen[f] = true
		all = append(all, f)
	}
	return all
}
