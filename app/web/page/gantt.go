package page

import (
	"fmt"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/architect/build"
)

// A chart shows what of a build ran when, and what it waited for. All places are
// parts of the chart's width, so that it fits any screen.
type chart struct {
	Ticks []tick
	Rows  []row
}

// A tick is a mark on the axis of time.
type tick struct {
	At    string // percent
	Label string // time since the build was submitted
}

// A row is one task.
type row struct {
	Key, Name string
	Said      string // all that the bars say, in words
	Bars      []bar
}

// A bar is a time in which something went on.
type bar struct {
	Class    string
	X, Width string // percent
	Said     string
}

// maxRows bounds a chart. Beyond it, a picture says less than a table does.
const maxRows = 400

// scale puts times on an axis.
type scale struct {
	from time.Time
	span time.Duration
}

// chartOf draws a build as it stands at a time.
func chartOf(b *build.Build, now time.Time) chart {
	end := b.Finished
	if end.IsZero() {
		end = now
	}
	s := scale{from: b.Created, span: max(end.Sub(b.Created), time.Millisecond)}
	c := chart{Ticks: s.ticks()}
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			if t := &b.Stages[i].Tasks[j]; len(c.Rows) < maxRows && !t.Ready.IsZero() {
				c.Rows = append(c.Rows, s.row(b, i, t, end))
			}
		}
	}
	return c
}

// row tells of one task: it waited for the stages before, then for a builder, then
// its attempts ran, each with its steps.
func (s scale) row(b *build.Build, stage int, t *build.Task, end time.Time) row {
	r := row{Key: t.Key, Name: t.Name}
	add := func(class string, from, to time.Time, format string, args ...any) {
		if from.IsZero() || to.Before(from) {
			return
		}
		said := fmt.Sprintf(format, args...) + " " + term.Duration(to.Sub(from))
		r.Bars = append(r.Bars, bar{Class: class, X: s.at(from), Width: s.width(from, to), Said: said})
	}
	begun := t.Ready
	for _, past := range t.Retried {
		add("again", past.Started, past.Ended, "attempt %d on %s, %s:", past.Attempt, past.Builder, past.Reason)
		if past.Started.Before(begun) {
			begun = past.Started
		}
	}
	if stage > 0 {
		add("before", b.Created, begun, "waited for the stage %s:", b.Stages[stage-1].Name)
	}
	started := t.Started
	if started.IsZero() {
		started = end
		if t.State.Final() {
			started = t.Finished
		}
	}
	if t.Reason != build.ReasonSkipped && t.Reason != build.ReasonReused {
		add("queued", t.Ready, started, "waited for a builder:")
	}
	s.attempt(t, end, add)
	words := []string{t.Name, string(t.State)}
	for _, b := range r.Bars {
		words = append(words, b.Said)
	}
	r.Said = strings.Join(words, ", ")
	return r
}

// attempt adds the current attempt, and over it its steps.
func (s scale) attempt(t *build.Task, end time.Time, add func(string, time.Time, time.Time, string, ...any)) {
	if t.Started.IsZero() {
		return
	}
	add("run "+string(t.State), t.Started, orAt(t.Finished, end), "attempt %d on %s:", t.Attempt, t.Builder)
	for i := range t.Steps {
		if step := &t.Steps[i]; !step.Started.IsZero() {
			add("step", step.Started, orAt(step.Finished, end), "%s, %s:", step.Name, step.State)
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

func (s scale) at(t time.Time) string { return percent(t.Sub(s.from), s.span) }

// width is never nothing: what took no time is still to be seen.
func (s scale) width(from, to time.Time) string {
	return percent(max(to.Sub(from), s.span/400), s.span)
}

func percent(part, of time.Duration) string {
	return fmt.Sprintf("%.2f%%", 100*min(1, max(0, float64(part)/float64(of))))
}

// steps of the axis, of which the smallest is taken that makes at most maxTicks.
var tickSteps = []time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour,
}

const maxTicks = 5

func (s scale) ticks() []tick {
	step := tickSteps[len(tickSteps)-1]
	for _, candidate := range tickSteps {
		if s.span/candidate < maxTicks {
			step = candidate
			break
		}
	}
	for s.span/step >= maxTicks {
		step *= 2
	}
	ticks := []tick{}
	for at := time.Duration(0); at < s.span*19/20; at += step { // a label at the very end would be cut off
		ticks = append(ticks, tick{At: percent(at, s.span), Label: tickLabel(at)})
	}
	return ticks
}

// tickLabel is a duration without what is nothing: 0, 500ms, 5s, 1m, 2h.
func tickLabel(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
