package page

import (
	"fmt"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/architect/build"
)

// A chart shows what of a build ran when, and what it waited for. All places are
// parts of the chart's width, so that it fits any screen. It has all tasks from the
// beginning on: rows that came later would move what is below.
type chart struct {
	Ticks []tick
	Now   string // percent; "" if the build is over
	Lanes []lane
	More  int // tasks that have no row
}

// A lane is one stage.
type lane struct {
	Name string
	Edge string // percent: where its turn came; "" if it was the first, or has not come
	Rows []row
}

// A row is one task.
type row struct {
	Key, Name string
	Begun     bool   // it has a log
	Note      string // why there is no attempt to show
	NoteAt    string // percent
	Bars      []bar
	state     string
}

// A bar is a time in which something went on.
type bar struct {
	Class    string
	X, Width string // percent
	What     string
	From     string // since the build was submitted
	Took     string
}

// Said is what a bar shows, in words.
func (b bar) Said() string { return b.What + ": " + b.Took }

// Said is all that the row shows, in words.
func (r row) Said() string {
	words := []string{r.Name, r.state}
	for _, b := range r.Bars {
		words = append(words, b.Said())
	}
	return strings.Join(words, ", ")
}

// Spans are the bars that stand beside each other: those of steps lie upon others.
func (r row) Spans() []bar {
	var all []bar
	for _, b := range r.Bars {
		if b.Class != stepBar {
			all = append(all, b)
		}
	}
	return all
}

const stepBar = "step"

// maxRows bounds a chart. Beyond it, a picture says less than a table does.
const maxRows = 400

// chartOf draws a build as it stands at a time.
func chartOf(b *build.Build, now time.Time) chart {
	end := orAt(b.Finished, now)
	s := scale{from: b.Created, span: max(end.Sub(b.Created), time.Millisecond)}
	c := chart{}
	if b.Finished.IsZero() {
		s.span += s.span / 25 // room for the word behind the line that is now
		c.Now = s.at(end)
	}
	c.Ticks = s.ticks()
	rows := 0
	for i := range b.Stages {
		l := lane{Name: b.Stages[i].Name}
		var turn time.Time
		for j := range b.Stages[i].Tasks {
			t := &b.Stages[i].Tasks[j]
			if rows++; rows > maxRows {
				c.More++
				continue
			}
			if began := begun(t); i > 0 && !began.IsZero() && (turn.IsZero() || began.Before(turn)) {
				turn, l.Edge = began, s.at(began)
			}
			l.Rows = append(l.Rows, s.row(b, i, t, end))
		}
		if l.Rows != nil {
			c.Lanes = append(c.Lanes, l)
		}
	}
	return c
}

// begun is when the turn of a task came: a task that is tried again is ready anew.
func begun(t *build.Task) time.Time {
	if len(t.Retried) > 0 && t.Retried[0].Started.Before(t.Ready) {
		return t.Retried[0].Started
	}
	return t.Ready
}

// row tells of one task: it waited for the stages before, then for a builder, then
// its attempts ran, each with its steps.
func (s scale) row(b *build.Build, stage int, t *build.Task, end time.Time) row {
	r := row{Key: t.Key, Name: t.Name, Begun: t.Attempt > 0, state: taskStanding(b, t).Word}
	add := func(class string, from, to time.Time, format string, args ...any) {
		if from.IsZero() || to.Before(from) {
			return
		}
		r.Bars = append(r.Bars, bar{
			Class: class, X: s.at(from), Width: s.width(from, to), What: fmt.Sprintf(format, args...),
			From: term.Duration(from.Sub(s.from)), Took: term.Duration(to.Sub(from)),
		})
	}
	turn := begun(t)
	if turn.IsZero() && !b.State().Final() {
		turn = end
	}
	switch {
	case turn.IsZero():
	case stage > 0:
		add("before", b.Created, turn, "waited for the stage %s", b.Stages[stage-1].Name)
	case t.Ready.IsZero():
		add("before", b.Created, turn, "waited for the build to begin")
	}
	switch {
	case t.Reason == build.ReasonSkipped || t.Reason == build.ReasonReused:
		r.Note, r.NoteAt = t.Reason, s.at(t.Ready)
	case t.Ready.IsZero():
	default:
		s.attempts(t, end, add)
	}
	return r
}

// attempts adds what was tried, and over the last attempt its steps.
func (s scale) attempts(t *build.Task, end time.Time, add func(string, time.Time, time.Time, string, ...any)) {
	for _, past := range t.Retried {
		add("again", past.Started, past.Ended, "attempt %d on %s, %s", past.Attempt, past.Builder, past.Reason)
	}
	last := orAt(t.Finished, end)
	add("queued", t.Ready, orAt(t.Started, last), "waited for a builder")
	if t.Started.IsZero() {
		return
	}
	add("run "+string(t.State), t.Started, last, "attempt %d on %s", t.Attempt, t.Builder)
	for i := range t.Steps {
		if step := &t.Steps[i]; !step.Started.IsZero() {
			add(stepBar, step.Started, orAt(step.Finished, end), "%s, %s", step.Name, step.State)
		}
	}
}

// orAt is t, or another time as long as there is none.
func orAt(t, other time.Time) time.Time {
	if t.IsZero() {
		return other
	}
	return t
}
