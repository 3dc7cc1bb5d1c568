package storage

import (
	"strings"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A summary is what queries ask about a build.
type summary struct {
	number  int64
	unsure  bool // the build itself must be read to tell
	state   build.State
	name    string
	ref     string
	author  string
	actor   string
	commit  plan.Commit
	created int64 // Unix time in milliseconds
	tasks   []taskSummary
}

type taskSummary struct {
	key, name string
	state     build.State
}

// summarized leaves the commit as the trigger names it: which one is meant takes
// the repository to tell.
func summarized(b *build.Build) summary {
	sum := summary{
		number: b.ID.Number, state: b.State(), name: b.Name, ref: b.Trigger.Ref, author: b.Author, actor: b.Trigger.Actor,
		commit: b.Trigger.Commit, created: b.Created.UnixMilli(),
	}
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			t := &b.Stages[i].Tasks[j]
			sum.tasks = append(sum.tasks, taskSummary{key: t.Key, name: t.Name, state: t.State})
		}
	}
	return sum
}

// narrows reports whether q asks for more than the newest builds.
func (q *Query) narrows() bool {
	return q.Commit != "" || q.Ref != "" || q.Name != "" || q.Author != "" || q.Task != "" || q.State != "" ||
		!q.Since.IsZero() || !q.Until.IsZero()
}

func (q *Query) selects(b *summary) bool {
	return (q.Commit == "" || b.commit == q.Commit) &&
		(q.Ref == "" || b.ref == q.Ref) &&
		(q.Name == "" || b.name == q.Name) &&
		(q.Since.IsZero() || b.created >= q.Since.UnixMilli()) &&
		(q.Until.IsZero() || b.created < q.Until.UnixMilli()) &&
		q.selectsState(b) && q.selectsPerson(b)
}

func (q *Query) selectsState(b *summary) bool {
	if q.Task == "" {
		return q.State == "" || b.state == q.State
	}
	for _, t := range b.tasks {
		if (t.key == q.Task || t.name == q.Task) && (q.State == "" || t.state == q.State) {
			return true
		}
	}
	return false
}

func (q *Query) selectsPerson(b *summary) bool {
	if q.Author == "" {
		return true
	}
	part := strings.ToLower(q.Author)
	return strings.Contains(strings.ToLower(b.author), part) || strings.Contains(strings.ToLower(b.actor), part)
}
