package page

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
)

// MaxLine is how much of a line is shown, in bytes: a browser that is given one of
// a hundred megabytes stops answering.
const MaxLine = 64 << 10

// A Line is one line of a log, ready to be shown.
type Line struct {
	Number int // from 1
	Spans  []Span
	Cut    bool          // it goes on beyond MaxLine
	Offset int64         // of its first byte in the log
	Since  time.Duration // when it came, counted from the log's beginning
}

// A Cutter makes lines of the bytes of a log as they come. It begins at its Place,
// and moves on with what it takes.
type Cutter struct{ Place }

// Shown are the spans of the line, with a note at its end if it goes on.
func (l Line) Shown() []Span {
	if !l.Cut {
		return l.Spans
	}
	return append(l.Spans[:len(l.Spans):len(l.Spans)], Span{hiddenClass, "the line is longer than 64 KiB: the raw log has all of it"})
}

// A Place is one in a log, between two lines: the id by which whoever follows it
// can go on.
type Place struct {
	Offset int64 // bytes
	Number int   // of the line that begins there, or of the next one that does
	// Within says that the place is in a line of which no more is shown. Whoever goes
	// on there may be faster than the log, which a builder sends again to a server
	// that was started anew: the bytes before the place may not be there to be asked.
	Within bool
}

// within ends the text of a Place that is in a line.
const within = "w"

func (p Place) String() string {
	text := fmt.Sprintf("%d-%d", p.Offset, p.Number)
	if p.Within {
		text += within
	}
	return text
}

// ParsePlace reads what String wrote.
func ParsePlace(text string) (p Place, ok bool) {
	text, p.Within = strings.CutSuffix(text, within)
	offset, number, _ := strings.Cut(text, "-")
	at, err := strconv.ParseUint(offset, 10, 62)
	n, err2 := strconv.ParseUint(number, 10, 31)
	p.Offset, p.Number = int64(at), int(n)
	return p, err == nil && err2 == nil && n > 0
}

// Take makes lines of data, which begins at Offset, and moves on behind what it has
// used. What is left is a line whose end is still to come; with end, nothing is to
// come, and nothing is left.
func (c *Cutter) Take(data []byte, end bool) []Line {
	var lines []Line
	c.Each(data, end, func(at Place, text []byte) {
		lines = append(lines, LineOf(at, text))
	})
	return lines
}

// Each is Take for lines as they were printed, without their ends. A text that is
// longer than MaxLine may not be all of the line, and is the caller's only until each
// returns.
func (c *Cutter) Each(data []byte, end bool, each func(at Place, text []byte)) {
	for len(data) > 0 {
		n := bytes.IndexByte(data, '\n') + 1
		whole := n > 0
		if !whole {
			n = len(data)
		}
		at := c.Place
		switch {
		case c.Within:
			c.Within = !whole
		case whole || end || n > MaxLine:
			each(at, bytes.TrimSuffix(data[:n], newline))
			c.Number++
			c.Within = !whole && !end
		default:
			return
		}
		c.Offset += int64(n)
		data = data[n:]
	}
}

var newline = []byte("\n")

// LineOf is a line as Each gives it, ready to be shown.
func LineOf(at Place, text []byte) Line {
	return Line{Number: at.Number, Offset: at.Offset, Cut: len(text) > MaxLine, Spans: Spans(text[:min(len(text), MaxLine)])}
}

// A Log is a window of the log of one attempt.
type Log struct {
	Repository string
	*build.Build
	Task    *build.Task
	Attempt int

	Lines []Line
	// Follow says that the log may still grow and that this window reaches its end:
	// what comes behind From follows.
	Follow bool
	From   Place

	Times, HasTimes bool // they are shown; there are some

	First, Previous, Next, Last string // queries of other windows; "" if there is none
	Toggle                      string // query of this window with times, or without
	Search                      *Search
	None                        string // why there is no log; "" if there is one
}

func (l Log) about() (string, string) {
	return "log", "Log of " + l.Task.Name + ", " + l.ID.String()
}

// Attempts are the numbers of those that left a log: those that failed and were
// tried again, and the current one.
func (l Log) Attempts() []int {
	var all []int
	for _, past := range l.Task.Retried {
		all = append(all, past.Attempt)
	}
	return append(all, l.Task.Attempt)
}

// A Fold is the lines of one step. Before the first and behind the last step there
// is nothing, but a log that is still being written may be ahead of its steps.
type Fold struct {
	Index int // of the step; -1 if it is not known
	Name  string
	Step  *build.Step // nil if it is not known
	Lines []Line
}

// Folds are the lines by step.
func (l Log) Folds() []Fold {
	var folds []Fold
	for _, line := range l.Lines {
		i := -1
		if l.Attempt == l.Task.Attempt {
			i = StepAt(l.Task, line.Offset)
		}
		if n := len(folds); n == 0 || folds[n-1].Index != i {
			folds = append(folds, Fold{Index: i, Name: StepName(l.Task, i), Step: l.step(i)})
		}
		last := &folds[len(folds)-1]
		last.Lines = append(last.Lines, line)
	}
	return folds
}

// StepAt is the step of a task's current attempt whose output is at an offset of
// its log, -1 if that is not known.
func StepAt(t *build.Task, offset int64) int {
	found := -1
	for i := range t.Steps {
		if s := &t.Steps[i]; !s.Started.IsZero() && s.From <= offset {
			found = i
		}
	}
	return found
}

// StepName is how the fold of a step is called.
func StepName(t *build.Task, step int) string {
	if step < 0 {
		return "Output"
	}
	return stepName(t.Steps[step])
}

func (l Log) step(i int) *build.Step {
	if i < 0 {
		return nil
	}
	return &l.Task.Steps[i]
}
