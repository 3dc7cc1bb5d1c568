package page

import (
	"fmt"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A Build is one build as it stands.
type Build struct {
	Repository string // as it is called now
	*build.Build
	Why       []api.Reason    // what tasks that are not over wait for
	Artifacts []api.Artifacts // that are still there
	Now       time.Time
}

func (b Build) about() (string, string) {
	return "build", string(b.State()) + ": " + b.Name + " " + b.ID.String()
}

// Chart is what ran when.
func (b Build) Chart() chart { return chartOf(b.Build, b.Now) }

// Waits is what a task waits for, "" if it does not.
func (b Build) Waits(key string) string {
	for _, r := range b.Why {
		if r.Task == key && !build.State(r.State).Final() && build.State(r.State) != build.Building {
			return r.Why
		}
	}
	return ""
}

// A Part is one task on the page of its build.
type Part struct {
	Page Build
	*build.Task
}

// Part is the part of a task.
func (b Build) Part(key string) Part {
	t, _ := b.Build.Task(key)
	return Part{b, t}
}

// Standing is how the task stands.
func (p Part) Standing() standing { return taskStanding(p.Page.Build, p.Task) }

// Why is the reason of the task, unless its standing or that of the build says it.
func (p Part) Why() string {
	reason := p.Page.TaskReason(p.Task)
	if reason == p.Standing().Word || reason == build.ReasonHeld {
		return ""
	}
	return reason
}

// Progress is how far the attempt is, in a line: it has the same height throughout.
func (p Part) Progress() string {
	said := count(len(p.Steps), "step")
	for i, s := range p.Steps {
		place := fmt.Sprintf("Step %d of %d", i+1, len(p.Steps))
		switch s.State {
		case build.Building:
			said = place + ": " + stepName(s)
		case build.Failed:
			said = place + " failed: " + stepName(s)
		}
	}
	if p.Lost != nil || p.Retried != nil {
		said += ", " + count(p.Attempt, "attempt")
	}
	return said
}

// Culprit is the task that the build's reason names, nil if it names none.
func (b Build) Culprit() *build.Task {
	if b.Canceled != "" || b.State() != build.Failed {
		return nil
	}
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			if t := &b.Stages[i].Tasks[j]; t.State == build.Failed && !t.MayFail {
				return t
			}
		}
	}
	return nil
}

// Kept are the artifacts of a task, nil if there are none any more.
func (b Build) Kept(key string) *api.Artifacts {
	for i := range b.Artifacts {
		if b.Artifacts[i].Task == key {
			return &b.Artifacts[i]
		}
	}
	return nil
}

// Failing are the findings of all tasks that say what is wrong, with their tasks.
func (b Build) Failing() []Found {
	var all []Found
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			t := &b.Stages[i].Tasks[j]
			if len(t.Findings) > 0 || t.Tests != (build.Tests{}) {
				all = append(all, Found{Task: t, Findings: t.Findings[:min(len(t.Findings), shownFindings)], More: max(0, len(t.Findings)-shownFindings)})
			}
		}
	}
	return all
}

// shownFindings bounds what of a task's findings stands on the page of its build;
// velocity show --json has all.
const shownFindings = 50

// Found is what the reports of a task say.
type Found struct {
	Task     *build.Task
	Findings []build.Finding
	More     int // that are not shown
}

// A Plan is what a build was to do.
type Plan struct {
	Repository string
	*build.Build
	Plan *plan.Plan // nil if none could be drawn
}

func (p Plan) about() (string, string) { return "plan", "Plan of " + p.ID.String() }

// Text is the plan as velocity plan prints it.
func (p Plan) Text() (string, error) {
	var out strings.Builder
	err := term.Page{Out: &out}.Plan(p.Plan, term.Remarks{})
	return out.String(), err
}

// Events are the moves of a build, the oldest first.
type Events struct {
	Repository string
	*build.Build
	Moves []build.Move
	First int    // the number of the first of them
	Older string // queries of the pages beside this one; "" if there is none
	Newer string
}

// TaskName is how people know a task, by its key.
func (e Events) TaskName(key string) string {
	if t, ok := e.Task(key); ok {
		return t.Name
	}
	return key
}

func (e Events) about() (string, string) { return "events", "Events of " + e.ID.String() }
