// Package workflow speaks to a runner of GitHub Actions: it groups what is
// printed, hides secrets, points at lines of files, and sets outputs, in the
// commands and files that GitHub documents.
//
// A runner takes any line of a program's output for a command that looks like one,
// and what is shown comes from repositories and from the programs they run. So
// nothing goes out that is neither a command of this package nor made harmless:
// names are cleaned, and logs stand between commands that stop all others, up to a
// token that nobody can guess.
package workflow

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/builder/mask"
)

// MaxAnnotations is how many annotations of each level a runner takes from one
// step; it drops further ones.
const MaxAnnotations = 10

// A Writer writes to the output of a step, from which the runner reads line by
// line. One goroutine at a time may use it, and nobody else may write there: the
// runner reads what two of them write in any order. Errors of the output are not
// told: whoever would read of them reads the output.
type Writer struct {
	out   io.Writer
	shown map[string]int // annotations by level
}

// New writes to out.
func New(out io.Writer) *Writer { return &Writer{out: out, shown: map[string]int{}} }

// Mask has the runner hide a value, and each of its lines that can be told from
// other text, in all that is printed later. What is shorter than mask.MinLength is
// left alone.
func (w *Writer) Mask(value string) {
	whole := strings.TrimSpace(value)
	for i, part := range append([]string{whole}, strings.FieldsFunc(whole, lineEnd)...) {
		part = strings.TrimSpace(part)
		if len(part) >= mask.MinLength && (i == 0 || part != whole) {
			w.command("add-mask", "", part)
		}
	}
}

func lineEnd(r rune) bool { return r == '\n' || r == '\r' }

// Group begins a group of lines that the reader can fold. It ends with EndGroup;
// groups cannot be in groups.
func (w *Writer) Group(title string) { w.command("group", "", plain(title)) }

// EndGroup ends the group that is open.
func (w *Writer) EndGroup() { w.command("endgroup", "", "") }

// Annotate shows an annotation at its file, or at none without a path. It reports
// whether the runner has room for it.
func (w *Writer) Annotate(a forge.Annotation) bool {
	name, ok := map[string]string{"failure": "error", "warning": "warning"}[a.Level]
	if !ok {
		name = "notice"
	}
	if w.shown[name] == MaxAnnotations {
		return false
	}
	w.shown[name]++
	var properties []string
	add := func(key, value string) {
		if value = propertyText(value); value != "" {
			properties = append(properties, key+"="+escapeProperty(value))
		}
	}
	add("file", a.Path)
	if a.Path != "" && a.Line > 0 {
		add("line", fmt.Sprint(a.Line))
		if a.EndLine > a.Line {
			add("endLine", fmt.Sprint(a.EndLine))
		}
		if a.Column > 0 {
			add("col", fmt.Sprint(a.Column))
		}
	}
	add("title", a.Title)
	w.command(name, strings.Join(properties, ","), a.Message)
	return true
}

// propertyText leaves out what a runner would not read back from the beginning and
// the end of a property's value.
func propertyText(value string) string {
	return strings.TrimRightFunc(strings.TrimLeftFunc(value, func(r rune) bool { return r == '=' || unicode.IsSpace(r) }), unicode.IsSpace)
}

// Line prints one line of text that is no command, whatever is in it.
func (w *Writer) Line(text string) { fmt.Fprintln(w.out, plain(text)) }

// maxLine bounds a line of a log, in bytes; longer ones are broken.
const maxLine = 64 << 10

// Log prints what r holds, in which nothing is a command. What could steer a
// terminal is taken out, except colours.
func (w *Writer) Log(r io.Reader) error {
	in := bufio.NewReaderSize(r, maxLine)
	out := bufio.NewWriter(w.out)
	token := ""
	for {
		line, err := in.ReadSlice('\n')
		if len(line) > 0 && token == "" {
			token = rand.Text()
			fmt.Fprintf(out, "::stop-commands::%s\n", token)
		}
		if len(line) > 0 {
			_, _ = out.Write(logLine(line)) // see Writer
		}
		if errors.Is(err, bufio.ErrBufferFull) || err == nil {
			continue
		}
		if token != "" {
			fmt.Fprintf(out, "::%s::\n", token)
		}
		_ = out.Flush() // see Writer
		if errors.Is(err, io.EOF) {
			return nil
		}
		return fmt.Errorf("read log: %w", err)
	}
}

// logLine makes one line of a log, which ends with a line feed.
func logLine(text []byte) []byte {
	var out bytes.Buffer
	_ = term.Page{Out: &out, Colour: true}.Log(term.Log{Text: text}, true) // a buffer takes everything
	return marker.ReplaceAllLiteral(out.Bytes(), []byte(unmarked))
}

func (w *Writer) command(name, properties, data string) {
	if properties != "" {
		name += " " + properties
	}
	fmt.Fprintf(w.out, "::%s::%s\n", name, escapeData(data))
}
