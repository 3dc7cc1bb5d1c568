package report

import (
	"fmt"
	"strings"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
)

// Reasons that the architect and builders give, as far as a check shows more than
// that something failed.
const (
	reasonTimedOut    = "timed out"
	reasonCanceled    = "canceled"
	reasonNotApproved = "not approved"
	prefixSuperseded  = "superseded by "
	prefixInternal    = "internal error"

	prefixConfiguration = "configuration: "
)

// A verdict is a check in short. Its title has no text of the repository's but
// what plainly lets through.
type verdict struct {
	state      forge.State
	conclusion forge.Conclusion
	mishap     bool // our failure, or the configuration's
	title      string
}

func final(c forge.Conclusion, title string) verdict {
	return verdict{state: forge.Final, conclusion: c, title: title}
}

// buildVerdict sums a build up. ahead is how many builds go first; negative if it
// is not known.
func buildVerdict(b *build.Build, ahead int) verdict {
	counts := b.Counts()
	switch state := b.State(); {
	case b.AwaitsApproval():
		return final(forge.ActionRequired, "Waiting for approval")
	case !state.Final() && !begun(b):
		return verdict{state: forge.Queued, title: queued(ahead)}
	case !state.Final() && b.Canceled != "":
		return verdict{state: forge.Running, title: "Ending: " + ended(b.Canceled)}
	case !state.Final():
		return verdict{state: forge.Running, title: fmt.Sprintf("Running: %d of %d tasks done", counts.Done+counts.Skipped, counts.Tasks)}
	case state == build.Succeeded:
		return final(passed(b, counts))
	case b.Refused != "":
		return refusedVerdict(b.Refused)
	case b.Canceled != "":
		return final(forge.Cancelled, ended(b.Canceled))
	}
	return failedVerdict(b)
}

func queued(ahead int) string {
	if ahead < 0 {
		return "Queued"
	}
	return fmt.Sprintf("Queued (%d ahead)", ahead)
}

// begun reports whether a builder has ever taken something of the build.
func begun(b *build.Build) bool {
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			if taskBegun(&b.Stages[i].Tasks[j]) {
				return true
			}
		}
	}
	return false
}

// taskBegun never becomes false again: a check's state only goes up.
func taskBegun(t *build.Task) bool {
	return t.State == build.Building || t.State.Final() || len(t.Lost)+len(t.Retried) > 0
}

// ended is the title of a build, or a task, that somebody ended.
func ended(reason string) string {
	if id, ok := strings.CutPrefix(reason, prefixSuperseded); ok {
		return "Superseded by build " + plainly(id)
	}
	switch reason {
	case reasonCanceled:
		return "Canceled"
	case reasonNotApproved:
		return "Not approved"
	}
	return "Canceled: " + plainly(reason)
}

func passed(b *build.Build, counts build.Counts) (forge.Conclusion, string) {
	allowed := len(tasks(b, func(t *build.Task) bool { return t.State == build.Failed }))
	from := origins(b)
	switch {
	case counts.Skipped == counts.Tasks:
		return forge.Skipped, "Skipped"
	case allowed > 0:
		return forge.Success, fmt.Sprintf("Passed, with %s that may fail", count(allowed, "failed task"))
	case len(from) == 1 && counts.Done == len(tasks(b, reused)):
		return forge.Success, "Reused from build " + from[0].String()
	}
	return forge.Success, "Passed: " + count(counts.Done, "task")
}

// refusedVerdict tells what people wrote wrong from what broke here.
func refusedVerdict(reason string) verdict {
	v := final(forge.Failure, "No plan could be drawn")
	v.mishap = true
	if strings.HasPrefix(reason, prefixInternal) {
		v.title = "Infrastructure error"
	} else if strings.HasPrefix(reason, prefixConfiguration) {
		v.title = "Configuration error"
	}
	return v
}

// failedVerdict blames the code as soon as one task failed by it.
func failedVerdict(b *build.Build) verdict {
	failed := tasks(b, func(t *build.Task) bool { return t.State == build.Failed && !t.MayFail })
	ours, late := 0, 0
	for _, t := range failed {
		switch {
		case mishap(t):
			ours++
		case t.Reason == reasonTimedOut:
			late++
		}
	}
	v := final(forge.Failure, fmt.Sprintf("Failed: %s", listed(failed)))
	switch len(failed) {
	case ours:
		v.title, v.mishap = "Infrastructure error: "+listed(failed), true
	case ours + late:
		v.conclusion, v.title = forge.TimedOut, "Timed out: "+listed(failed)
	}
	return v
}

// listed is the first of some tasks, and how many more there are.
func listed(all []*build.Task) string {
	text := plainly(all[0].Name)
	if len(all) > 1 {
		text += fmt.Sprintf(" and %d more", len(all)-1)
	}
	return text
}

// taskVerdict sums a task up.
func taskVerdict(b *build.Build, t *build.Task) verdict {
	switch {
	case t.State == build.Waiting && b.State().Final():
		return final(forge.Cancelled, "Never ran")
	case !t.State.Final() && !taskBegun(t):
		return verdict{state: forge.Queued, title: "Queued"}
	case !t.State.Final():
		return verdict{state: forge.Running, title: "Running, attempt " + fmt.Sprint(max(t.Attempt, 1))}
	case t.State == build.Succeeded && t.Skip:
		return final(forge.Skipped, "Skipped")
	case reused(t):
		return final(forge.Success, "Reused from build "+t.Reused.Build.String())
	case t.State == build.Succeeded:
		return final(forge.Success, "Passed")
	case b.Canceled != "" && t.Reason == b.Canceled:
		return final(forge.Cancelled, ended(b.Canceled))
	case t.MayFail:
		return final(forge.Neutral, "Failed, as it may: "+plainly(t.Reason))
	case mishap(t):
		v := final(forge.Failure, "Infrastructure error: "+plainly(t.Reason))
		v.mishap = true
		return v
	case t.Reason == reasonTimedOut:
		return final(forge.TimedOut, "Timed out")
	}
	return final(forge.Failure, "Failed: "+plainly(t.Reason))
}

// mishap reports whether a task failed without fault of its own: no builder had it
// when it ended, or what it did is not known.
func mishap(t *build.Task) bool {
	return t.State == build.Failed && (t.Builder == "" || t.Reason == build.ReasonUnknown)
}

// reused reports whether an earlier success stood in for the task.
func reused(t *build.Task) bool { return t.State == build.Succeeded && !t.Skip && !t.Reused.Zero() }

// origins are the builds whose successes stood in for tasks, each once.
func origins(b *build.Build) (ids []build.ID) {
	seen := map[build.ID]bool{}
	for _, t := range tasks(b, reused) {
		if id := t.Reused.Build; !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

// tasks lists the build's tasks that are as wished.
func tasks(b *build.Build, wished func(*build.Task) bool) (all []*build.Task) {
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			if t := &b.Stages[i].Tasks[j]; wished(t) {
				all = append(all, t)
			}
		}
	}
	return all
}

// count says 1 task, 2 tasks.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
