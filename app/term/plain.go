package term

import (
	"bytes"
	"fmt"
	"maps"

	"github.com/velocity-ci/velocity/architect/build"
)

// plain shows one line an event: for pipes, files and git hooks.
type plain struct {
	p       *Progress
	colours bool
	scratch []byte
	begun   map[Source]bool // attempts of which it was said that they are under way
}

func (f *plain) line(id build.ID, format string, args ...any) {
	f.p.out.write(fmt.Appendf(nil, f.p.label(id)+format+"\n", args...))
}

func (f *plain) moved(prev, b *build.Build) {
	if prev == nil {
		f.p.out.write([]byte(headline(b) + "\n"))
		prev = &build.Build{}
	}
	if b.Canceled != "" && prev.Canceled == "" {
		f.line(b.ID, "canceling: %s", firstLine(b.Canceled))
	}
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			now := &b.Stages[i].Tasks[j]
			f.task(b, taskAt(prev, i, j), now)
		}
	}
	for _, notice := range b.Notices[min(len(prev.Notices), len(b.Notices)):] {
		f.line(b.ID, "note: %s", firstLine(notice))
	}
}

// taskAt is the task as it was; a build's outline never changes, but the first
// time there is none.
func taskAt(b *build.Build, stage, index int) *build.Task {
	if stage < len(b.Stages) && index < len(b.Stages[stage].Tasks) {
		return &b.Stages[stage].Tasks[index]
	}
	return &build.Task{}
}

// headline introduces a build.
func headline(b *build.Build) string {
	tasks, stages := count(b.Counts().Tasks, "task"), count(len(b.Stages), "stage")
	if why := cause(b); why != "" {
		return fmt.Sprintf("%s: %s, %s in %s", title(b), why, tasks, stages)
	}
	return fmt.Sprintf("%s: %s in %s", title(b), tasks, stages)
}

// task says what is new in one task.
func (f *plain) task(b *build.Build, before, now *build.Task) {
	name := Clean(now.Name)
	for _, lost := range now.Lost[min(len(before.Lost), len(now.Lost)):] {
		f.line(b.ID, "%s: attempt %d ended: %s", name, lost.Attempt, firstLine(lost.Reason))
	}
	for _, r := range now.Retried[min(len(before.Retried), len(now.Retried)):] {
		f.line(b.ID, "%s: attempt %d failed: %s", name, r.Attempt, firstLine(r.Reason))
	}
	fresh := now.State != before.State || now.Attempt != before.Attempt
	switch {
	case fresh && now.State.Final():
		f.line(b.ID, "%s: %s", name, outcome(now))
	case fresh && now.State == build.Building:
		f.begin(Source{Build: b.ID, Key: now.Key, Name: now.Name, Attempt: now.Attempt})
	}
	if now.State == build.Building {
		f.step(b, before, now)
	}
}

// begin says once that an attempt is under way.
func (f *plain) begin(from Source) {
	if f.begun[from] {
		return
	}
	f.begun[from] = true
	if from.Attempt > 1 {
		f.line(from.Build, "%s: building, attempt %d", Clean(from.Name), from.Attempt)
		return
	}
	f.line(from.Build, "%s: building", Clean(from.Name))
}

// ahead reports whether an attempt is not known to be under way: a move is shown when
// it is recorded, and what a quick step prints may be here before.
func (f *plain) ahead(from Source) bool {
	b := f.p.builds[from.Build]
	if b == nil || f.begun[from] {
		return false
	}
	t, ok := b.Task(from.Key)
	return ok && !t.State.Final() && t.Attempt <= from.Attempt
}

// step says which step a task is at, if it has more than one of its own.
func (f *plain) step(b *build.Build, before, now *build.Task) {
	at := current(now)
	if at < 1 || len(now.Steps) < 3 || at == current(before) && now.Attempt == before.Attempt {
		return
	}
	f.line(b.ID, "%s: step %d/%d %s", Clean(now.Name), at, len(now.Steps)-1, firstLine(now.Steps[at].Name))
}

// current is the index of the step that is under way, or -1. The implicit setup
// is 0.
func current(t *build.Task) int {
	for i := range t.Steps {
		if t.Steps[i].State == build.Building {
			return i
		}
	}
	return -1
}

func (f *plain) log(from Source, lines []byte) {
	if f.ahead(from) {
		f.begin(from)
	}
	prefixed := f.p.prefixed(from)
	if !prefixed && harmless(lines) {
		f.p.out.write(lines)
		return
	}
	prefix := ""
	if prefixed {
		prefix = f.p.prefix(from)
	}
	f.scratch = appendLines(f.scratch[:0], prefix, lines, f.colours)
	f.p.out.write(f.scratch)
}

// appendLines appends complete lines, each with its prefix and made safe.
func appendLines(dst []byte, prefix string, lines []byte, colours bool) []byte {
	for len(lines) > 0 {
		end := bytes.IndexByte(lines, '\n')
		dst = append(dst, prefix...)
		dst = appendClean(dst, lines[:end], colours)
		dst = append(dst, '\n')
		lines = lines[end+1:]
	}
	return dst
}

func (f *plain) ended(b *build.Build) {
	f.p.out.write([]byte(f.p.summary(b, style{}, f.colours)))
	maps.DeleteFunc(f.begun, func(from Source, _ bool) bool { return from.Build == b.ID })
}

func (f *plain) redraw() {}

func (f *plain) close() {}
