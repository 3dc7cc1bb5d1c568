package term

import (
	"fmt"
	"strings"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// count says 1 task, 2 tasks.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// cause says what a build was made for: push refs/heads/main 2fd4e1c.
func cause(b *build.Build) string {
	t := b.Trigger
	words := []string{}
	for _, word := range []string{string(t.Event), t.Ref} {
		if word != "" {
			words = append(words, Clean(word))
		}
	}
	if !t.Commit.Zero() {
		words = append(words, Clean(t.Commit.Short()))
	}
	return strings.Join(words, " ")
}

// outcome says how a final task ended: failed, exit 2 in 1.2s.
func outcome(t *build.Task) string {
	text := string(t.State)
	if t.Reason != "" {
		text += ", " + firstLine(t.Reason)
	}
	if reused(t) {
		text += " from build " + t.Reused.Build.String()
	}
	if took, ok := elapsed(t.Started, t.Finished, t.Finished); ok {
		text += " in " + took
	}
	if t.State == build.Failed && t.MayFail {
		text += " (may fail)"
	}
	return text
}

// summary is what is said at a build's end: the last lines of what failed, then
// one line with the outcome, so that it is the last thing to be read.
func (p *Progress) summary(b *build.Build, s style, colours bool) string {
	var out strings.Builder
	for _, t := range failed(b) {
		p.lastLines(&out, b, t, s, colours)
	}
	state := b.State()
	fmt.Fprintf(&out, "%s: %s", s.bold(title(b)), s.state(state, string(state)))
	fmt.Fprintf(&out, " %s", b.Counts())
	if took, ok := elapsed(b.Started, b.Finished, b.Finished); ok {
		out.WriteString(" in " + took)
	}
	if reason := b.Reason(); reason != "" {
		out.WriteString(": " + firstLine(reason))
	}
	out.WriteString("\n")
	return out.String()
}

// failed lists the tasks that made the build fail.
func failed(b *build.Build) []*build.Task {
	var tasks []*build.Task
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			if t := &b.Stages[i].Tasks[j]; t.State == build.Failed && !t.MayFail {
				tasks = append(tasks, t)
			}
		}
	}
	return tasks
}

// lastLines repeats the end of a failed task's log, unless it is just above.
func (p *Progress) lastLines(out *strings.Builder, b *build.Build, t *build.Task, s style, colours bool) {
	from := Source{Build: b.ID, Key: t.Key, Name: t.Name, Attempt: t.Attempt}
	if !p.prefixed(from) {
		return
	}
	fmt.Fprintf(out, "%s%s: %s\n", p.label(b.ID), s.bold(Clean(t.Name)), s.state(t.State, outcome(t)))
	if log := p.streams[from]; log != nil {
		for _, line := range log.last() {
			fmt.Fprintf(out, "    %s\n", appendClean(nil, line, colours))
		}
	}
	if !b.ID.Zero() {
		fmt.Fprintf(out, "    %s\n", s.dim(logCommand(b, t)))
	}
}

// logCommand is how to read a task's whole log.
func logCommand(b *build.Build, t *build.Task) string {
	return fmt.Sprintf("velocity logs %s %s", b.ID, quote(t.Name))
}

// quote makes one word of a shell's command line, as far as people need it.
func quote(name string) string {
	plainWord := func(r rune) bool {
		return r == '/' || r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	}
	if name != "" && strings.IndexFunc(name, func(r rune) bool { return !plainWord(r) }) < 0 {
		return name
	}
	return "'" + strings.ReplaceAll(Clean(name), "'", `'\''`) + "'"
}

// taskReason is the reason to show in a page or table.
func taskReason(b *build.Build, t *build.Task) string { return firstLine(b.TaskReason(t)) }

// short is the abbreviation of a commit that people see.
func short(c plan.Commit) string {
	if c.Zero() {
		return "-"
	}
	return Clean(c.Short())
}
