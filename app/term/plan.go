package term

import (
	"fmt"
	"io"
	"strings"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// Remarks are what is known about a plan beside what it says.
type Remarks struct {
	Plan  string            // about all of it, "" for nothing
	Tasks map[string]string // by their keys
}

// Plan prints what a construction plan is going to do.
func (p Page) Plan(pl *plan.Plan, about Remarks) error {
	digest, err := pl.Digest()
	if err != nil {
		return err
	}
	w := &planPage{s: style{on: p.Colour}, about: about}
	fmt.Fprintf(&w.out, "%s %s", pl.Kind, w.s.bold(Clean(pl.Name)))
	if pl.Description != "" {
		fmt.Fprintf(&w.out, ": %s", firstLine(pl.Description))
	}
	fmt.Fprintf(&w.out, "\n%s\n", w.s.dim(fmt.Sprintf("for %s %s %s, plan %s", pl.Event, orDash(Clean(pl.Ref)), short(pl.Commit), digest)))
	if about.Plan != "" {
		fmt.Fprintln(&w.out, Clean(about.Plan))
	}
	for i := range pl.Stages {
		w.stage(&pl.Stages[i])
	}
	_, err = io.WriteString(p.Out, w.out.String())
	return err
}

type planPage struct {
	s     style
	about Remarks
	out   strings.Builder
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (w *planPage) stage(s *plan.Stage) {
	fmt.Fprintf(&w.out, "\nstage %s\n", w.s.bold(Clean(s.Name)))
	for i := range s.Tasks {
		w.task(&s.Tasks[i])
	}
}

func (w *planPage) task(t *plan.Task) {
	var notes []string
	if t.MayFail {
		notes = append(notes, "may fail")
	}
	if t.Timeout > 0 {
		notes = append(notes, "at most "+t.Timeout.String())
	}
	fmt.Fprintf(&w.out, "  %s  %s%s\n", w.s.dim(t.Key), w.s.bold(Clean(t.Name)), inBrackets(notes))
	if t.Description != "" {
		fmt.Fprintf(&w.out, "      %s\n", firstLine(t.Description))
	}
	if remark := w.about.Tasks[t.Key]; remark != "" {
		fmt.Fprintf(&w.out, "      %s\n", firstLine(remark))
	}
	for i := range t.Parameters {
		fmt.Fprintf(&w.out, "      with %s\n", parameter(&t.Parameters[i]))
	}
	for i := range t.Steps {
		fmt.Fprintf(&w.out, "      %d. %s\n", i+1, step(&t.Steps[i]))
	}
}

func inBrackets(notes []string) string {
	if len(notes) == 0 {
		return ""
	}
	return " (" + strings.Join(notes, ", ") + ")"
}

// parameter says where a value comes from.
func parameter(p *plan.Parameter) string {
	switch {
	case p.Derived != nil:
		return "what " + Clean(p.Derived.Use) + " prints"
	case p.Secret: // even one whose value stands in a file
		return Clean(p.Name) + ", a secret"
	case p.Value != nil:
		return Clean(p.Name) + "=" + firstLine(*p.Value)
	}
	return Clean(p.Name) + ", known when it runs"
}

func step(s *plan.Step) string {
	text := fmt.Sprintf("%s: %s", s.Type, firstLine(s.Name))
	if does := action(s); does != "" && does != firstLine(s.Name) {
		text += ": " + does
	}
	var notes []string
	if s.Run != nil && s.Run.Image != "" {
		notes = append(notes, "in "+Clean(string(s.Run.Image)))
	}
	if s.IgnoreErrors || s.Run != nil && s.Run.IgnoreExitCode {
		notes = append(notes, "may fail")
	}
	if s.Timeout > 0 {
		notes = append(notes, "at most "+s.Timeout.String())
	}
	if len(s.Secrets) > 0 {
		notes = append(notes, "sees "+Clean(strings.Join(s.Secrets, ", ")))
	}
	return text + inBrackets(notes)
}

// action is what a step does, in a line.
func action(s *plan.Step) string {
	switch {
	case s.Run != nil && s.Run.Script != "":
		return firstLine(s.Run.Script)
	case s.Run != nil:
		return words(s.Run.Command)
	case s.Build != nil:
		return words(s.Build.Tags)
	case s.Push != nil:
		return words(s.Push.Tags)
	case s.Compose != nil:
		return Clean(string(s.Compose.ComposeFile))
	}
	return ""
}

func words(texts []plan.Text) string {
	list := make([]string, len(texts))
	for i, t := range texts {
		list[i] = string(t)
	}
	return firstLine(strings.Join(list, " "))
}
