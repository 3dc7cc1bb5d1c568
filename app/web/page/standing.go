package page

import (
	"fmt"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A standing is how something stands, as it is shown: a colour, a sign and a word,
// so that none of them is needed to understand the others.
type standing struct {
	Class, Mark, Word string
}

// stateStanding is how a state is shown by itself.
func stateStanding(s build.State) standing { return standing{string(s), Mark(s), string(s)} }

// buildStanding tells of a build also that it waits for somebody's approval.
func buildStanding(b *build.Build) standing {
	if b.AwaitsApproval() {
		return standing{"held", "‖", "held"}
	}
	return stateStanding(b.State())
}

// taskStanding tells of a task also that it needed no attempt, or never had one.
func taskStanding(b *build.Build, t *build.Task) standing {
	switch {
	case t.State == build.Succeeded && t.Reason == build.ReasonReused:
		return standing{"succeeded", "✓", build.ReasonReused}
	case t.State == build.Succeeded && t.Reason == build.ReasonSkipped:
		return standing{"skipped", "–", build.ReasonSkipped}
	case t.State == build.Waiting && b.State().Final():
		return standing{"skipped", "–", "never ran"}
	}
	return stateStanding(t.State)
}

// Mark is a sign for a state, so that colour is not the only one.
func Mark(s build.State) string {
	switch s {
	case build.Succeeded:
		return "✓"
	case build.Failed:
		return "✗"
	case build.Building:
		return "●"
	}
	return "○"
}

// shownState is the state of a step or stage as it is told: what waits in a build
// that is over never ran.
func shownState(b *build.Build, s build.State) string {
	if s == build.Waiting && b.State().Final() {
		return "never ran"
	}
	return string(s)
}

// eventName is an event as people say it.
func eventName(e plan.Event) string { return strings.ReplaceAll(string(e), "_", " ") }

// branch is a ref as people call it.
func branch(ref string) string {
	for _, kind := range []struct{ prefix, sign string }{
		{plan.BranchPrefix, ""}, {plan.TagPrefix, "tag "}, {"refs/pull/", "#"}, {"refs/merge-requests/", "!"},
	} {
		if name, ok := strings.CutPrefix(ref, kind.prefix); ok {
			if kind.sign == "#" || kind.sign == "!" {
				name, _, _ = strings.Cut(name, "/") // which of its commits is beside it
			}
			return kind.sign + name
		}
	}
	return strings.TrimPrefix(ref, "refs/")
}

// person is the name of an author, without the address; the address if there is no
// name.
func person(author string) string {
	if name, _, ok := strings.Cut(author, " <"); ok && strings.TrimSpace(name) != "" {
		return name
	}
	return author
}

// A moment is a time as it is seen from now.
type moment struct{ At, Now time.Time }

// Ago is how long ago it was, in one unit; beyond a month it is the day.
func (m moment) Ago() string {
	past := m.Now.Sub(m.At)
	switch {
	case past < time.Minute: // or clocks differ
		return "just now"
	case past < time.Hour:
		return fmt.Sprintf("%d min ago", past/time.Minute)
	case past < 24*time.Hour:
		return fmt.Sprintf("%d h ago", past/time.Hour)
	case past < 30*24*time.Hour:
		return count(int(past/(24*time.Hour)), "day") + " ago"
	}
	return m.At.UTC().Format(time.DateOnly)
}
