package term

import (
	"fmt"
	"io"
	"strings"

	"github.com/velocity-ci/velocity/architect/build"
)

// Build prints the page of one build: what it was made for, how it went, and
// every stage, task, attempt and step.
func (p Page) Build(b *build.Build) error {
	w := &page{Page: p, b: b, s: style{on: p.Colour}}
	w.head()
	for i := range b.Stages {
		w.stage(&b.Stages[i])
	}
	if len(b.Notices) > 0 {
		fmt.Fprintln(&w.out)
		for _, n := range b.Notices {
			fmt.Fprintf(&w.out, "note: %s\n", firstLine(n))
		}
	}
	_, err := io.WriteString(p.Out, w.out.String())
	return err
}

type page struct {
	Page
	b   *build.Build
	s   style
	out strings.Builder
}

// field prints a line of the head, if there is something to say.
func (w *page) field(name, value string) {
	if value != "" {
		fmt.Fprintf(&w.out, "%s %s\n", w.s.dim(pad(name, 8)), value)
	}
}

func (w *page) head() {
	b, t := w.b, w.b.Trigger
	state := b.State()
	result := w.s.state(state, string(state))
	if reason := firstLine(b.Reason()); reason != "" {
		result += ", " + reason
	}
	w.field("build", fmt.Sprintf("%s  %s %s", w.s.bold(b.ID.String()), result, b.Counts()))
	w.field(string(b.Kind), Clean(b.Name))
	w.field("for", cause(b))
	w.field("by", Clean(t.Actor))
	w.field("commit", Clean(string(t.Commit)))
	if b.Config != t.Commit {
		w.field("config", Clean(string(b.Config)))
	}
	w.field("plan", Clean(b.Plan))
	w.field("parent", Clean(t.Parent))
	w.field("created", clock(b.Created))
	if took, ok := elapsed(b.Started, b.Finished, w.Now); ok {
		w.field("took", took)
	}
}

func (w *page) stage(s *build.Stage) {
	state := s.State()
	said := string(state)
	if state == build.Waiting && w.b.State().Final() {
		said = "never ran"
	}
	fmt.Fprintf(&w.out, "\n%s  %s\n", w.s.bold(Clean(s.Name)), w.s.state(state, said))
	for i := range s.Tasks {
		w.task(&s.Tasks[i])
	}
}

func (w *page) task(t *build.Task) {
	words := []string{w.s.state(t.State, string(t.State))}
	add := func(format string, v any) { words = append(words, fmt.Sprintf(format, v)) }
	if reason := taskReason(w.b, t); reason != "" {
		add("%s", reason)
	}
	if took, ok := elapsed(t.Started, t.Finished, w.Now); ok {
		add("%s", took)
	}
	if t.Builder != "" {
		add("on %s", Clean(t.Builder))
	}
	if t.Attempt > 1 {
		add("attempt %d", t.Attempt)
	}
	if t.MayFail {
		add("%s", "may fail")
	}
	fmt.Fprintf(&w.out, "  %s  %s  %s\n", w.s.dim(t.Key), Clean(t.Name), strings.Join(words, ", "))
	w.earlier(t)
	if t.Attempt > 0 {
		w.steps(t)
	}
	w.facts(t)
	if t.Log.Bytes > 0 {
		fmt.Fprintf(&w.out, "      log: %s, %s: %s\n", count(t.Log.Lines, "line"), Bytes(t.Log.Bytes), logCommand(w.b, t))
	}
}

func (w *page) steps(t *build.Task) {
	width := 0
	for _, step := range t.Steps {
		width = max(width, min(columns(firstLine(step.Name)), 60))
	}
	for i := range t.Steps {
		step := &t.Steps[i]
		text := w.s.state(step.State, string(step.State))
		if step.State == build.Waiting && t.State.Final() {
			text = w.s.dim("never ran")
		}
		if step.Reason != "" {
			text += ", " + firstLine(step.Reason)
		}
		if took, ok := elapsed(step.Started, step.Finished, w.Now); ok {
			text += ", " + took
		}
		fmt.Fprintf(&w.out, "      %s  %s\n", pad(fit(firstLine(step.Name), width), width), text)
	}
}
