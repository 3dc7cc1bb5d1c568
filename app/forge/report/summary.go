package report

import (
	"fmt"
	"strings"

	"github.com/velocity-ci/velocity/architect/build"
)

// What the parts of a summary get of MaxBytes at most.
const (
	tableBytes = 20_000
	ganttBytes = 12_000
	endBytes   = 1_000 // kept for what stands at the end
)

// buildSummary is the page of a build: how it went, its stages and tasks, when they
// ran, what failed, and where to read on.
func (c *Composer) buildSummary(b *build.Build, v verdict, address string) string {
	p := &page{limit: MaxBytes, alone: b.ID.Zero()}
	p.add(outcome(b, v))
	if b.AwaitsApproval() {
		p.add(approvalText(b))
	}
	p.within(tableBytes, func(p *page) { table(p, b) })
	if rows := newGantt(b); rows != nil {
		p.within(ganttBytes, func(p *page) { p.add("\n" + fenced(strings.Join(rows, "\n"))) })
	}
	p.limit -= endBytes
	p.list("failed task", c.failures(b, tasks(b, func(t *build.Task) bool {
		return t.State == build.Failed && (t.Attempt > 0 || b.Canceled == "") // else it did not begin
	})))
	p.limit += endBytes
	p.add(tested(tasks(b, func(*build.Task) bool { return true })))
	p.add(links(b, address))
	return p.String()
}

// taskSummary is the page of one task.
func (c *Composer) taskSummary(b *build.Build, t *build.Task, v verdict, address string) string {
	p := &page{limit: MaxBytes}
	p.add("**" + code(v.title) + "**\n\n")
	p.add("Task " + code(t.Name) + " of build " + code(b.ID.String()) + ": " + taskState(b, t) + "\n")
	if t.State == build.Failed {
		p.list("failed task", c.failures(b, []*build.Task{t}))
	} else {
		p.add("\n" + stepLines(t))
	}
	p.add(tested([]*build.Task{t}))
	p.add(links(b, address))
	return p.String()
}

// outcome is the first thing to read.
func outcome(b *build.Build, v verdict) string {
	text := "**" + code(v.title) + "**"
	if took := span(b.Started, b.Finished); took != "" {
		text += " in " + took
	}
	if counts := b.Counts(); counts.Tasks > 0 {
		text += fmt.Sprintf(", %s tasks", counts)
	}
	if reason := b.Reason(); b.State() == build.Failed && reason != "" {
		text += ": " + code(reason)
	}
	cause := strings.TrimSpace(string(b.Trigger.Event) + " " + b.Trigger.Ref)
	return text + "\n\n" + code(string(b.Kind)+" "+b.Name) + " for " + code(cause) + " at " + code(string(b.Trigger.Commit)) + "\n"
}

// approvalText says what somebody approves, and what of it.
func approvalText(b *build.Build) string {
	return "\nNobody knows yet that whoever sent this may run code here. Somebody who may write to the repository has to approve" +
		" commit " + code(string(b.Trigger.Commit)) + " with plan " + code(b.Plan) +
		", whose configuration was read at " + code(string(b.Config)) + "." +
		" Read the change first: what it says is run. It gets no secrets, and a new commit has to be approved again.\n\n" +
		"On a command line: " + code("velocity approve "+b.ID.String()) + "\n"
}

// table lists the stages and tasks. If there are many, those that did not succeed
// go first: the others may be cut off.
func table(p *page, b *build.Build) {
	if b.Counts().Tasks == 0 {
		return
	}
	p.add("\n| stage | task | state | took | attempts | builder |\n|---|---|---|---|---|---|\n")
	var rows, good []string
	many := b.Counts().Tasks > manyRows
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			t := &b.Stages[i].Tasks[j]
			row := fmt.Sprintf("| %s | %s | %s | %s | %s | %s |\n", code(b.Stages[i].Name), code(t.Name), taskState(b, t),
				orNone(span(t.Started, t.Finished)), attempts(t), code(t.Builder))
			if many && t.State == build.Succeeded {
				good = append(good, row)
			} else {
				rows = append(rows, row)
			}
		}
	}
	p.list("task", append(rows, good...))
}

// manyRows is how many rows of a table surely have room.
const manyRows = 50

// taskState is where a task stands, and why.
func taskState(b *build.Build, t *build.Task) string {
	text := string(t.State)
	switch {
	case t.State == build.Failed && t.MayFail:
		text += " (may fail)"
	case reused(t):
		return text + ", reused from " + code(t.Reused.Build.String())
	}
	if reason := b.TaskReason(t); reason != "" {
		text += ": " + code(reason)
	}
	return text
}

// attempts is how often a task was begun.
func attempts(t *build.Task) string {
	if t.Attempt == 0 {
		return orNone("")
	}
	return fmt.Sprint(t.Attempt)
}

func orNone(text string) string {
	if text == "" {
		return "–"
	}
	return text
}

// tested sums up what test reports tell; "" if there are none.
func tested(all []*build.Task) string {
	var sum build.Tests
	for _, t := range all {
		sum.Passed += t.Tests.Passed
		sum.Failed += t.Tests.Failed
		sum.Skipped += t.Tests.Skipped
		sum.Flaky += t.Tests.Flaky
	}
	if sum == (build.Tests{}) {
		return ""
	}
	return fmt.Sprintf("\n**Tests**: %d passed, %d failed, %d skipped, %d flaky\n", sum.Passed, sum.Failed, sum.Skipped, sum.Flaky)
}

// links say where to read on: on the build's page, or by a command. A build that is
// recorded nowhere has neither.
func links(b *build.Build, address string) string {
	if b.ID.Zero() {
		return ""
	}
	text := "\n"
	if address != "" && !strings.ContainsAny(address, "<> \n\t\\") {
		text += "[The build's page](<" + address + ">) · "
	}
	return text + code("velocity show "+b.ID.String()) + "\n"
}
