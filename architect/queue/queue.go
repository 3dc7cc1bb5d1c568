// Package queue decides which ready task goes to which builder next, and says
// why the others wait. It is pure: it sees a picture of the moment and answers
// with the assignments to make.
package queue

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
)

// A Task is ready for a builder.
type Task struct {
	Repository string
	Build      build.ID
	Key        string
	Since      time.Time // when it became ready
}

// A Builder is present and takes work.
type Builder struct {
	Name     string
	Capacity int // attempts at the same time
	Busy     int // of them in use
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
	Running  map[string]int // attempts under way, by repository
}

// Decide hands out free slots. Repositories take turns, the one with the least
// under way first; within a repository the longest-waiting task goes first, and
// among equals the older build's. A task goes to the builder with the most free
// slots. The result depends on nothing but the picture.
func Decide(p Picture) []Pick {
	queues := byRepository(p.Ready)
	running := map[string]int{}
	for r, n := range p.Running {
		running[r] = n
	}
	builders := slices.Clone(p.Builders)
	var picks []Pick
	for {
		b := freest(builders)
		q := next(queues, running)
		if b == nil || q == nil {
			return picks
		}
		task := (*q)[0]
		*q = (*q)[1:]
		b.Busy++
		running[task.Repository]++
		picks = append(picks, Pick{Task: task, Builder: b.Name})
	}
}

// byRepository groups ready tasks, each group in the order of its turn.
func byRepository(ready []Task) map[string]*[]Task {
	queues := map[string]*[]Task{}
	for _, t := range ready {
		if queues[t.Repository] == nil {
			queues[t.Repository] = &[]Task{}
		}
		*queues[t.Repository] = append(*queues[t.Repository], t)
	}
	for _, q := range queues {
		slices.SortStableFunc(*q, older)
	}
	return queues
}

func older(a, b Task) int {
	return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Build.Number, b.Build.Number))
}

// next is the queue whose turn it is, or nil.
func next(queues map[string]*[]Task, running map[string]int) *[]Task {
	var best *[]Task
	for _, q := range queues {
		if len(*q) == 0 {
			continue
		}
		if best == nil || turn((*q)[0], (*best)[0], running) < 0 {
			best = q
		}
	}
	return best
}

func turn(a, b Task, running map[string]int) int {
	return cmp.Or(
		cmp.Compare(running[a.Repository], running[b.Repository]),
		older(a, b),
		cmp.Compare(a.Repository, b.Repository),
	)
}

func freest(builders []Builder) *Builder {
	var best *Builder
	for i := range builders {
		b := &builders[i]
		if b.Busy >= b.Capacity {
			continue
		}
		if best == nil || b.Capacity-b.Busy > best.Capacity-best.Busy {
			best = b
		}
	}
	return best
}

// Why says what a ready task that was not picked waits for.
func Why(builders []Builder) string {
	if len(builders) == 0 {
		return "no builder is connected"
	}
	busy, slots := 0, 0
	for _, b := range builders {
		busy += b.Busy
		slots += b.Capacity
	}
	if slots == 0 {
		return fmt.Sprintf("all %d builders take no new work", len(builders))
	}
	return fmt.Sprintf("all slots are busy: %d of %d", busy, slots)
}
