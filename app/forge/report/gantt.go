package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/architect/build"
)

// Columns of the chart: a name, the bars, and what there is to say.
const (
	ganttName = 26
	ganttBar  = 48
	ganttWide = 100
	ganttRows = 60
)

// A gantt draws when the tasks of a build ran. It knows no clock: what is still
// under way reaches to the last thing that happened.
type gantt struct {
	from, to time.Time
	rows     []string
}

// newGantt draws the chart of a build of which something has begun; nil before.
func newGantt(b *build.Build) []string {
	g := gantt{from: b.Started}
	if b.Started.IsZero() {
		return nil
	}
	for _, t := range tasks(b, func(*build.Task) bool { return true }) {
		g.reach(t)
	}
	if !g.to.After(g.from) {
		return nil
	}
	whole := term.Duration(g.to.Sub(g.from))
	g.rows = append(g.rows, fit("", ganttName)+" 0"+fit("", ganttBar-1-len(whole))+whole)
	for i := range b.Stages {
		s := &b.Stages[i]
		head := visible(s.Name, "")
		if i > 0 {
			head += ", after " + visible(b.Stages[i-1].Name, "")
		}
		g.rows = append(g.rows, strings.TrimRight(fit(head+":", ganttWide), " "))
		for j := range s.Tasks {
			g.row(&s.Tasks[j])
		}
	}
	if more := len(g.rows) - ganttRows; more > 0 {
		g.rows = append(g.rows[:ganttRows], fmt.Sprintf("… and %s more", count(more, "row")))
	}
	return append(g.rows, legend)
}

const legend = "- waits for a builder   ~ earlier attempt   = runs   > goes on"

// reach widens the chart to what is known of a task.
func (g *gantt) reach(t *build.Task) {
	times := []time.Time{t.Ready, t.Started, t.Finished}
	for _, s := range t.Steps {
		times = append(times, s.Started, s.Finished)
	}
	for _, r := range t.Retried {
		times = append(times, r.Ended)
	}
	for _, l := range t.Lost {
		times = append(times, l.Ended)
	}
	for _, at := range times {
		future := t.State == build.Ready && at.Equal(t.Ready) // it waits to be tried again
		if at.After(g.to) && !future {
			g.to = at
		}
	}
}

// row draws one task. One that never had its turn has no bar.
func (g *gantt) row(t *build.Task) {
	bar := []byte(strings.Repeat(" ", ganttBar))
	begin := time.Time{}
	for _, r := range t.Retried {
		g.paint(bar, r.Started, r.Ended, '~')
	}
	end, mark := t.Finished, byte('=')
	if end.IsZero() {
		end = g.to
	}
	switch {
	case t.Started.IsZero():
		g.paint(bar, t.Ready, end, '-')
	default:
		begin = t.Started
		g.paint(bar, t.Ready, t.Started, '-')
		g.paint(bar, t.Started, end, mark)
	}
	if t.State == build.Building {
		bar[len(bar)-1] = '>'
	}
	text := fit("  "+visible(t.Name, ""), ganttName) + " " + string(bar) + " " + said(t, begin)
	g.rows = append(g.rows, strings.TrimRight(text, " "))
}

// said is how long a task took, and how long it waited for a builder before.
func said(t *build.Task, begin time.Time) string {
	switch {
	case t.State == build.Succeeded && t.Skip:
		return "skipped"
	case reused(t):
		return "reused"
	case begin.IsZero() || t.Finished.IsZero():
		return ""
	}
	text := span(begin, t.Finished)
	if wait := begin.Sub(t.Ready); !t.Ready.IsZero() && wait >= time.Second {
		text += ", waited " + term.Duration(wait)
	}
	return text
}

// paint fills the columns between two times, at least one if both are known.
func (g *gantt) paint(bar []byte, from, to time.Time, with byte) {
	if from.IsZero() || to.IsZero() {
		return
	}
	first, last := g.column(from), g.column(to)
	for i := first; i < max(last, first+1); i++ {
		bar[i] = with
	}
}

// column is where a time stands, at the chart's border if it is beyond.
func (g *gantt) column(at time.Time) int {
	whole := g.to.Sub(g.from)
	part := min(max(at.Sub(g.from), 0), whole)
	return min(int(float64(part)/float64(whole)*ganttBar), ganttBar-1)
}
