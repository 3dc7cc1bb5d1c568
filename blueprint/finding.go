package blueprint

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Severity tells whether a finding stops a plan from being drawn.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// A Position is a place in a file of the repository. Lines and columns count
// from 1, columns in characters; 0 means the file as a whole.
type Position struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return p.File + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column)
}

// A Finding is something wrong in what people wrote, and how to mend it.
type Finding struct {
	Position
	Severity Severity `json:"severity"`
	Message  string   `json:"message"`
	Hint     string   `json:"hint,omitempty"`
}

// String is the form compilers use: `file:line:col: error: message; hint`.
func (f Finding) String() string {
	s := f.Position.String() + ": " + string(f.Severity) + ": " + f.Message
	if f.Hint != "" {
		s += "; " + f.Hint
	}
	return s
}

// Findings are sorted by position. As an error they hold at least one finding of
// SeverityError.
type Findings []Finding

// Error prints one finding a line.
func (fs Findings) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Strict is a copy in which every warning is an error.
func (fs Findings) Strict() Findings {
	strict := slices.Clone(fs)
	for i := range strict {
		strict[i].Severity = SeverityError
	}
	return strict
}

// Err is the errors among the findings as an error of type Findings, or nil.
func (fs Findings) Err() error {
	return fs.filter(func(f Finding) bool { return f.Severity == SeverityError }).orNil()
}

func (fs Findings) filter(keep func(Finding) bool) Findings {
	var kept Findings
	for _, f := range fs {
		if keep(f) {
			kept = append(kept, f)
		}
	}
	return kept
}

// orNil keeps an empty list from becoming an error that is not nil.
func (fs Findings) orNil() error {
	if len(fs) == 0 {
		return nil
	}
	return fs
}

// maxFindings bounds what a hostile configuration can make us print and keep.
const maxFindings = 1000

// A report collects findings.
type report struct {
	list    Findings
	dropped int
}

func (r *report) errorf(at Position, format string, args ...any) *Finding {
	return r.add(Finding{Position: at, Severity: SeverityError}, format, args)
}

func (r *report) warnf(at Position, format string, args ...any) *Finding {
	return r.add(Finding{Position: at, Severity: SeverityWarning}, format, args)
}

// add returns the stored finding, so that the caller can give it a hint; it is
// valid until the next call.
func (r *report) add(f Finding, format string, args []any) *Finding {
	if len(r.list) >= maxFindings {
		r.dropped++
		return &Finding{}
	}
	for i, a := range args {
		if s, ok := a.(string); ok {
			args[i] = shorten(s, 160)
		}
	}
	f.Message = fmt.Sprintf(format, args...)
	r.list = append(r.list, f)
	return &r.list[len(r.list)-1]
}

// full tells that further findings are only counted: looking for hints would be
// wasted time.
func (r *report) full() bool { return len(r.list) >= maxFindings }

// didYouMean gives the finding a hint, if there is a likely candidate for word.
func (r *report) didYouMean(f *Finding, word string, candidates []string) {
	if r.full() {
		return
	}
	if n := nearest(word, candidates); n != "" {
		f.Hint = "did you mean " + strconv.Quote(n) + "?"
	}
}

// findings returns what was collected, sorted and without repeats. What was
// dropped may have been an error anywhere, so it counts against all of dir.
func (r *report) findings(dir string) Findings {
	list := slices.Clone(r.list)
	slices.SortStableFunc(list, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message),
		)
	})
	list = slices.Compact(list)
	if r.dropped > 0 {
		list = append(list, Finding{
			Position: Position{File: dir}, Severity: SeverityError,
			Message: fmt.Sprintf("%d more findings are not shown", r.dropped),
		})
	}
	return list
}

// shorten cuts s to n characters, so that a message stays a message.
func shorten(s string, n int) string {
	seen := 0
	for i := range s {
		if seen == n {
			return s[:i] + "…"
		}
		seen++
	}
	return s
}
