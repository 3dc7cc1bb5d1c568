package term

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
)

// A Page prints what is stored about builds. Now is for those under way.
type Page struct {
	Out    io.Writer
	Now    time.Time
	Colour bool
}

// Builds prints a table, one line a build, as given.
func (p Page) Builds(builds []*build.Build) error {
	rows := [][]string{{"BUILD", "STATE", "NAME", "EVENT", "COMMIT", "TASKS", "TIME", "STARTED", "REASON"}}
	states := []build.State{build.Waiting}
	for _, b := range builds {
		took, ok := elapsed(b.Started, b.Finished, p.Now)
		if !ok {
			took = "-"
		}
		rows = append(rows, []string{
			b.ID.String(), string(b.State()), Clean(b.Name), event(b), short(b.Trigger.Commit),
			b.Counts().String(), took, clock(b.Created), firstLine(b.Reason()),
		})
		states = append(states, b.State())
	}
	return p.table(rows, states)
}

// Table prints rows of text in columns; the first row is the heading.
func (p Page) Table(rows [][]string) error {
	for _, row := range rows {
		for i := range row {
			row[i] = firstLine(row[i])
		}
	}
	return p.table(rows, nil)
}

// event says what a build was for, in a word: push main, push v1.2, manual.
func event(b *build.Build) string {
	ref := b.Trigger.Ref
	for _, prefix := range []string{"refs/heads/", "refs/tags/"} {
		ref = strings.TrimPrefix(ref, prefix)
	}
	return Clean(strings.TrimSpace(string(b.Trigger.Event) + " " + ref))
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// table prints rows in columns. With states, the second column has the colour of
// its row's.
func (p Page) table(rows [][]string, states []build.State) error {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], columns(cell))
		}
	}
	s := style{on: p.Colour}
	var out strings.Builder
	for n, row := range rows {
		var text strings.Builder
		for i, cell := range row {
			if i < len(row)-1 {
				cell = pad(cell, widths[i]+2)
			}
			switch {
			case n == 0:
				cell = s.dim(cell)
			case i == 1 && states != nil:
				cell = s.state(states[n], cell)
			}
			text.WriteString(cell)
		}
		fmt.Fprintln(&out, strings.TrimRight(text.String(), " "))
	}
	_, err := io.WriteString(p.Out, out.String())
	return err
}
