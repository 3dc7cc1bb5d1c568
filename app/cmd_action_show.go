package app

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/app/workflow"
	"github.com/velocity-ci/velocity/architect/build"
)

// An actionView shows a build in the output of a step: a line for each event, and
// the log of each attempt once it is over, in a group for each of its steps. Until
// then logs wait in files, so that those of tasks that run at the same time are not
// mixed. A recorded build's id is for the outputs alone: on a runner nothing can be
// asked by it. It is called by one goroutine at a time.
type actionView struct {
	out      *workflow.Writer
	progress *term.Progress
	folder   string
	logs     map[logOf]*waitingLog
}

// A logOf says whose log it is.
type logOf struct {
	task    string // key
	attempt int
}

// A waitingLog is a log on its way to the output.
type waitingLog struct {
	file  *os.File
	bytes int64
	err   error // what kept it from being whole
	shown bool
}

// newActionView has its files below parent, until remove.
func newActionView(out *workflow.Writer, parent string, now func() time.Time) (*actionView, error) {
	folder, err := os.MkdirTemp(parent, "velocity-action-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for logs: %w", err)
	}
	v := &actionView{out: out, folder: folder, logs: map[logOf]*waitingLog{}}
	v.progress = term.New(term.Options{Out: linesTo{out}, Now: now, NoColour: true})
	return v, nil
}

// linesTo makes lines of text harmless for the runner.
type linesTo struct{ out *workflow.Writer }

func (l linesTo) Write(text []byte) (int, error) {
	for line := range strings.Lines(string(text)) {
		l.out.Line(strings.TrimSuffix(line, "\n"))
	}
	return len(text), nil
}

// Build implements architect.Viewer.
func (v *actionView) Build(b *build.Build) error {
	b = nameless(b)
	v.progress.Update(b)
	v.flush(b, func(t *build.Task, attempt int, l *waitingLog) bool {
		return attempt < t.Attempt || t.State.Final() && l.bytes >= t.Log.Bytes
	})
	return nil
}

// Log implements architect.Viewer. A log that cannot be kept is no reason to end
// the build.
func (v *actionView) Log(b *build.Build, t *build.Task, _ int64, data []byte) error {
	key := logOf{t.Key, t.Attempt}
	l := v.logs[key]
	if l == nil {
		l = &waitingLog{}
		l.file, l.err = os.Create(filepath.Join(v.folder, fmt.Sprintf("%s-%d", key.task, key.attempt)))
		v.logs[key] = l
	}
	if l.err == nil {
		_, l.err = l.file.Write(data)
	}
	l.bytes += int64(len(data))
	if t.State.Final() && l.bytes >= t.Log.Bytes {
		v.show(t, t.Attempt, l)
	}
	return nil
}

// end implements display.
func (v *actionView) end(b *build.Build) *build.Build {
	v.flush(b, func(*build.Task, int, *waitingLog) bool { return true })
	v.progress.End(nameless(b))
	return b
}

// flush shows the logs that are ripe and were not shown, in the order of the tasks.
func (v *actionView) flush(b *build.Build, ripe func(*build.Task, int, *waitingLog) bool) {
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			t := &b.Stages[i].Tasks[j]
			for attempt := 1; attempt <= t.Attempt; attempt++ {
				if l := v.logs[logOf{t.Key, attempt}]; l != nil && ripe(t, attempt, l) {
					v.show(t, attempt, l)
				}
			}
		}
	}
}

// show shows the log of an attempt. Only that of a task that failed is needed again.
func (v *actionView) show(t *build.Task, attempt int, l *waitingLog) {
	if l.shown {
		return
	}
	l.shown = true
	if l.err == nil {
		l.err = v.groups(t, attempt, l)
	}
	if l.err != nil {
		v.out.Line(fmt.Sprintf("the log of %s could not be shown: %v", t.Name, l.err))
	}
	if l.file != nil && t.State != build.Failed {
		_ = l.file.Close()           // it was only read since
		_ = os.Remove(l.file.Name()) // remove takes what is left
		l.file = nil
	}
}

func (v *actionView) groups(t *build.Task, attempt int, l *waitingLog) error {
	for _, s := range sectionsOf(t, attempt, l.bytes) {
		v.out.Group(s.title)
		err := v.out.Log(io.NewSectionReader(l.file, s.from, s.to-s.from))
		v.out.EndGroup()
		if err != nil {
			return err
		}
	}
	return nil
}

// A section is a part of a log, in bytes.
type section struct {
	title    string
	from, to int64
}

// sectionsOf divides a log at the beginnings of the steps. What was said before the
// first of them belongs to it. Of earlier attempts no steps are known any more.
func sectionsOf(t *build.Task, attempt int, size int64) (all []section) {
	if attempt < t.Attempt {
		return []section{{fmt.Sprintf("%s, attempt %d", t.Name, attempt), 0, size}}
	}
	var begun []*build.Step
	for i := range t.Steps {
		if t.Steps[i].State != build.Waiting {
			begun = append(begun, &t.Steps[i])
		}
	}
	at := int64(0)
	for i, s := range begun {
		to := size
		if i+1 < len(begun) {
			to = min(max(begun[i+1].From, at), size)
		}
		if to > at {
			all = append(all, section{t.Name + ": " + stepTitle(s), at, to})
		}
		at = to
	}
	if at < size {
		all = append(all, section{t.Name, at, size})
	}
	return all
}

// stepTitle says how a step went: make test: failed, exit 2, 3.2s.
func stepTitle(s *build.Step) string {
	text := cmp.Or(s.Name, string(s.Type)) + ": " + string(s.State)
	if s.Reason != "" {
		text += ", " + s.Reason
	}
	if !s.Started.IsZero() && !s.Finished.IsZero() {
		text += ", " + term.Duration(s.Finished.Sub(s.Started))
	}
	return text
}

// tail reads a part of the log of a task's last attempt.
func (v *actionView) tail(_ build.ID, t *build.Task, from, to int64) ([]byte, error) {
	l := v.logs[logOf{t.Key, t.Attempt}]
	if l == nil || l.file == nil {
		return nil, errors.New("it is not kept")
	}
	text := make([]byte, to-from)
	n, err := l.file.ReadAt(text, from)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return text[:n], err
}

// close ends the display.
func (v *actionView) close() { v.progress.Close() }

// remove takes the files away.
func (v *actionView) remove() {
	for _, l := range v.logs {
		if l.file != nil {
			_ = l.file.Close() // it was only read since
		}
	}
	_ = os.RemoveAll(v.folder) // what stays goes with the runner's own folder
}
