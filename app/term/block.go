package term

import (
	"fmt"
	"strings"

	"github.com/velocity-ci/velocity/architect/build"
)

// A line is one line of the live block.
type line struct {
	indent int
	state  build.State
	icon   string
	what   string // the name
	detail string // dim
	idle   bool   // left out first when there is no room
}

// text renders the line in at most the given columns.
func (l line) text(s style, width int) string {
	lead := strings.Repeat("  ", l.indent) + s.state(l.state, l.icon) + " "
	room := max(width-2*l.indent-3, 1) // the last column stays free: there terminals wrap
	what := fit(l.what, room)
	room -= columns(what) + 2
	if l.detail == "" || room < 1 {
		return lead + what
	}
	return lead + what + "  " + s.dim(fit(l.detail, room))
}

// screen is the block for all builds, cut to the terminal.
func (f *live) screen(rows int) []line {
	var lines []line
	for _, id := range f.p.order {
		lines = append(lines, f.block(f.p.builds[id], false)...)
	}
	room := max(rows-1, 1) // the cursor stands below the block
	if len(lines) <= room {
		return lines
	}
	kept := lines[:0:0]
	spare := len(lines) - (room - 1)
	left := 0
	for _, l := range lines {
		if l.idle && left < spare {
			left++
			continue
		}
		kept = append(kept, l)
	}
	if len(kept) > room-1 {
		left += len(kept) - (room - 1)
		kept = kept[:room-1]
	}
	return append(kept, line{icon: "…", state: build.Waiting, what: fmt.Sprintf("and %d more", left)})
}

// block shows one build. Of its stages only those under way or failed show their
// tasks.
func (f *live) block(b *build.Build, over bool) []line {
	state := b.State()
	lines := []line{{state: state, icon: icon(state, f.turn()), what: title(b), detail: f.progress(b)}}
	if over {
		lines = nil // the summary says it
	}
	for i := range b.Stages {
		s := &b.Stages[i]
		st := s.State()
		open := st == build.Building || st == build.Failed
		if len(b.Stages) > 1 {
			lines = append(lines, line{
				indent: 1, state: st, icon: icon(st, f.turn()), what: Clean(s.Name),
				detail: f.stage(b, s, st), idle: !open,
			})
		}
		if open || len(b.Stages) == 1 {
			lines = append(lines, f.tasks(b, s)...)
		}
	}
	return lines
}

func (f *live) tasks(b *build.Build, s *build.Stage) []line {
	indent := 2
	if len(b.Stages) == 1 {
		indent = 1
	}
	var lines []line
	for i := range s.Tasks {
		t := &s.Tasks[i]
		lines = append(lines, line{
			indent: indent, state: t.State, icon: icon(t.State, f.turn()), what: Clean(t.Name),
			detail: f.task(b, t), idle: t.State != build.Building && t.State != build.Failed,
		})
	}
	return lines
}

// progress is the detail of a build: 3/10 12s.
func (f *live) progress(b *build.Build) string {
	words := []string{b.Counts().String()}
	if took, ok := elapsed(b.Started, b.Finished, f.now()); ok {
		words = append(words, took)
	}
	if b.Canceled != "" {
		words = append(words, "canceling: "+firstLine(b.Canceled))
	}
	return strings.Join(words, "  ")
}

func (f *live) stage(b *build.Build, s *build.Stage, st build.State) string {
	if st == build.Waiting {
		if b.State().Final() {
			return "never ran"
		}
		return count(len(s.Tasks), "task")
	}
	done := 0
	for _, t := range s.Tasks {
		if t.State == build.Succeeded {
			done++
		}
	}
	return fmt.Sprintf("%d/%d", done, len(s.Tasks))
}

// task is the detail of a task: how long, why, and where it is.
func (f *live) task(b *build.Build, t *build.Task) string {
	var words []string
	if took, ok := elapsed(t.Started, t.Finished, f.now()); ok {
		words = append(words, took)
	}
	if reason := taskReason(b, t); reason != "" {
		words = append(words, reason)
	}
	if t.Attempt > 1 {
		words = append(words, fmt.Sprintf("attempt %d", t.Attempt))
	}
	if at := current(t); at >= 0 {
		words = append(words, firstLine(t.Steps[at].Name))
	}
	return strings.Join(words, "  ")
}
