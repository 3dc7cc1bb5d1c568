package report

import (
	"fmt"
	"strings"

	"github.com/velocity-ci/velocity/architect/build"
)

// What is shown of the log of a task that failed.
const (
	TailBytes  = 16 << 10 // that are asked for
	tailLines  = 30
	tailTasks  = 20   // with more of them, logs are for the build's page
	blockBytes = 4000 // of the lines of one task
)

// failures are blocks about tasks that failed: what failed in them, and the last
// lines of that. Those that may fail come last.
func (c *Composer) failures(b *build.Build, failed []*build.Task) (blocks []string) {
	for _, may := range []bool{false, true} {
		for _, t := range failed {
			if t.MayFail == may {
				blocks = append(blocks, c.failure(b, t, len(blocks) < tailTasks))
			}
		}
	}
	return blocks
}

func (c *Composer) failure(b *build.Build, t *build.Task, withLog bool) string {
	text := "\n#### " + code(t.Name) + ": " + taskState(b, t) + "\n"
	if steps := stepLines(t); steps != "" {
		text += "\n" + steps
	}
	if t.Log.Bytes == 0 {
		return text
	}
	if withLog {
		text += c.tail(b.ID, t)
	}
	if b.ID.Zero() { // nobody keeps the log
		return text
	}
	address := c.page(b.ID, t.Key)
	if address != "" && !strings.ContainsAny(address, "<> \n\t\\") {
		return text + "\n[The whole log](<" + address + ">)\n"
	}
	return text + "\nThe whole log: " + code("velocity logs "+b.ID.String()+" "+t.Key) + "\n"
}

// stepLines lists the steps that are no longer to come.
func stepLines(t *build.Task) string {
	var out strings.Builder
	for i, s := range t.Steps {
		if s.State == build.Waiting {
			continue
		}
		if i == maxSteps {
			fmt.Fprintf(&out, "- and %s more\n", count(len(t.Steps)-i, "step"))
			break
		}
		line := "- " + code(s.Name) + " " + string(s.State)
		if s.Reason != "" {
			line += ": " + code(s.Reason)
		}
		if took := span(s.Started, s.Finished); took != "" {
			line += ", " + took
		}
		out.WriteString(line + "\n")
	}
	return out.String()
}

// maxSteps bounds the steps of a task that are listed.
const maxSteps = 30

// tail is the end of what the failing step said, or the whole attempt if no step
// is to blame.
func (c *Composer) tail(id build.ID, t *build.Task) string {
	from, to := failing(t)
	if c.Tail == nil || to <= from {
		return ""
	}
	start := max(from, to-TailBytes)
	text, err := c.Tail(id, t, start, to)
	if err != nil {
		return "\nThe log could not be read: " + code(err.Error()) + "\n"
	}
	lines, more := logLines(string(text), start > from, tailLines)
	if lines == nil {
		return "\nThe step said nothing.\n"
	}
	for len(strings.Join(lines, "\n")) > blockBytes && len(lines) > 1 {
		lines, more = lines[1:], true
	}
	said := "\nIts output:\n\n"
	if more {
		said = fmt.Sprintf("\nThe last %s of its output:\n\n", count(len(lines), "line"))
	}
	return said + fenced(strings.Join(lines, "\n"))
}

// failing is where the log has the first step that failed.
func failing(t *build.Task) (from, to int64) {
	for _, s := range t.Steps {
		if s.State != build.Failed {
			continue
		}
		if s.To < s.From || s.To == 0 { // it ended without saying where
			return s.From, t.Log.Bytes
		}
		return s.From, s.To
	}
	return 0, t.Log.Bytes
}

// details is what few people read: earlier attempts, findings without a place, and
// what went wrong beside the build.
func details(b *build.Build) string {
	p := &page{limit: MaxBytes, alone: b.ID.Zero()}
	var lines []string
	for _, t := range tasks(b, func(*build.Task) bool { return true }) {
		for _, l := range t.Lost {
			lines = append(lines, fmt.Sprintf("- %s attempt %d on %s was interrupted: %s\n", code(t.Name), l.Attempt, code(l.Builder), code(l.Reason)))
		}
		for _, r := range t.Retried {
			lines = append(lines, fmt.Sprintf("- %s attempt %d on %s failed: %s\n", code(t.Name), r.Attempt, code(r.Builder), code(r.Reason)))
		}
		for _, f := range t.Findings {
			if _, placed := inRepository(f.File); !placed {
				lines = append(lines, fmt.Sprintf("- %s %s %s: %s\n", code(t.Name), level(f.Level), code(f.Name), code(f.Message)))
			}
		}
	}
	for _, n := range b.Notices {
		lines = append(lines, "- note: "+code(n)+"\n")
	}
	p.list("line", lines)
	return p.String()
}
