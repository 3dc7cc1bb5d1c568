// Package queue decides which ready task goes to which builder next, and says
// why the others wait. It is pure: it sees a picture of the moment and answers
// with the assignments to make.
package queue

import (
	"slices"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
)

// A Task is ready for a builder.
type Task struct {
	Repository string // which is told apart by it
	Called     string // the repository, by people; "" is as it is told apart
	Build      build.ID
	Key        string
	Since      time.Time // when it became ready
	Priority   int       // within its repository, within the bounds of package plan; 0 is usual
	Needs      Needs
}

// PriorityStep is the waiting that each step of priority counts as. Priorities
// are bounded: urgent tasks overtake, and no task is overtaken for ever.
const PriorityStep = 10 * time.Minute

// A Builder is present.
type Builder struct {
	Name     string
	Capacity int // attempts at the same time
	Busy     int // of them in use
	Draining bool
	Reason   string // why it takes nothing, where Capacity is 0; "" if nobody knows
	Offer    Offer
	Mirrors  []string // repositories that it need not fetch anew
}

// free is how many attempts it would take now.
func (b *Builder) free() int {
	if b.Draining {
		return 0
	}
	return max(0, b.Capacity-b.Busy)
}

// A Share is what a repository may have of the builders.
type Share struct {
	Weight int // its part of the slots in relation to others; below 1 counts as 1
	Limit  int // attempts at the same time; 0 is no limit
}

// A Pick is an assignment to make.
type Pick struct {
	Task    Task
	Builder string
}

// A Picture is all that a decision depends on.
type Picture struct {
	Ready    []Task
	Builders []Builder
	Running  map[string]int   // attempts under way, by repository
	Shares   map[string]Share // of repositories that have one; others weigh 1
}

// Decide hands out free slots. Repositories take turns, the one with the least
// under way for its weight first, and of those the one that has a task waiting
// longest; within a repository the task that has waited
// longest goes first, priority counted in, and among equals the older build's. A
// task that no free builder fits does not hold up those behind it. It goes to a
// builder that mirrors its repository if one is free, else to the one with the
// most free slots. The result depends on nothing but the picture, and not on the
// order of its lists.
func Decide(p Picture) []Pick {
	if !slices.ContainsFunc(p.Builders, func(b Builder) bool { return b.free() > 0 }) {
		return nil // a busy site: most of its decisions
	}
	field := newField(p.Builders)
	turns := newTurns(p)
	var picks []Pick
	for {
		t := turns.next(field.open)
		if t == nil {
			return picks
		}
		b := field.take(t.Needs, t.Repository)
		picks = append(picks, Pick{Task: *t, Builder: b.Name})
	}
}
