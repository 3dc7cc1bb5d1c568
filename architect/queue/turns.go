package queue

import (
	"cmp"
	"container/heap"
	"slices"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// turns are the repositories that have ready tasks, the one whose turn it is on
// top.
type turns []*line

// A line is the ready tasks of one repository, by what they need.
type line struct {
	repository string
	share      Share
	running    int
	since      time.Time // when the first of its tasks became ready
	queues     []*waiting
}

func newTurns(p Picture) *turns {
	lines := map[string]*line{}
	queues := map[near]*waiting{}
	var all turns
	for i := range p.Ready {
		t := &p.Ready[i]
		l := lines[t.Repository]
		if l == nil {
			l = &line{repository: t.Repository, share: p.Shares[t.Repository], running: p.Running[t.Repository], since: t.Since}
			l.share.Weight = max(1, l.share.Weight)
			lines[t.Repository] = l
			all = append(all, l)
		}
		if t.Since.Before(l.since) {
			l.since = t.Since
		}
		k := near{needs: t.Needs.key, repository: t.Repository}
		if queues[k] == nil {
			queues[k] = &waiting{}
			l.queues = append(l.queues, queues[k])
		}
		*queues[k] = append(*queues[k], entry{due: due(t), task: t})
	}
	for _, q := range queues {
		heap.Init(q)
	}
	heap.Init(&all)
	return &all
}

// next takes the task whose turn it is out of those that open says a builder is
// free for; nil if there is none.
func (ts *turns) next(open func(Needs) bool) *Task {
	for ts.Len() > 0 {
		l := (*ts)[0]
		q := l.first(open)
		if q == nil || l.share.Limit > 0 && l.running >= l.share.Limit {
			heap.Pop(ts) // nothing gets free before the decision is over
			continue
		}
		t := heap.Pop(q).(entry).task
		l.running++
		heap.Fix(ts, 0)
		return t
	}
	return nil
}

// first is the queue with the task whose turn it is, nil if nothing can go.
// Queues that are done with leave.
func (l *line) first(open func(Needs) bool) (first *waiting) {
	l.queues = slices.DeleteFunc(l.queues, func(q *waiting) bool {
		return q.Len() == 0 || !open((*q)[0].task.Needs)
	})
	for _, q := range l.queues {
		if first == nil || (*q)[0].before((*first)[0]) {
			first = q
		}
	}
	return first
}

func (ts turns) Len() int { return len(ts) }

// Less: what a repository has under way is judged as if it had got one more, so
// that a heavy one comes first among those that have nothing.
func (ts turns) Less(i, j int) bool {
	a, b := ts[i], ts[j]
	return cmp.Or(
		cmp.Compare((a.running+1)*b.share.Weight, (b.running+1)*a.share.Weight),
		a.since.Compare(b.since),
		strings.Compare(a.repository, b.repository),
	) < 0
}

func (ts turns) Swap(i, j int) { ts[i], ts[j] = ts[j], ts[i] }

// Push is for heap.Interface alone: lines are only there from the beginning.
func (ts *turns) Push(any) {}

// Pop is for heap.Interface.
func (ts *turns) Pop() any {
	last := len(*ts) - 1
	l := (*ts)[last]
	*ts = (*ts)[:last]
	return l
}

// waiting is a heap of tasks of a repository that need the same.
type waiting []entry

type entry struct {
	due  int64 // nanoseconds
	task *Task
}

// due is when a task of no priority would have had to become ready to have its
// turn at the same time.
func due(t *Task) int64 {
	priority := min(max(t.Priority, plan.MinPriority), plan.MaxPriority)
	return t.Since.Add(-time.Duration(priority) * PriorityStep).UnixNano()
}

// before is the order of the tasks of one repository.
func (e entry) before(other entry) bool {
	a, b := e.task, other.task
	return cmp.Or(
		cmp.Compare(e.due, other.due),
		strings.Compare(a.Build.Store, b.Build.Store),
		cmp.Compare(a.Build.Number, b.Build.Number),
		strings.Compare(a.Key, b.Key),
	) < 0
}

func (w waiting) Len() int           { return len(w) }
func (w waiting) Less(i, j int) bool { return w[i].before(w[j]) }
func (w waiting) Swap(i, j int)      { w[i], w[j] = w[j], w[i] }

// Push is for heap.Interface alone: tasks are only there from the beginning.
func (w *waiting) Push(any) {}

// Pop is for heap.Interface.
func (w *waiting) Pop() any {
	last := len(*w) - 1
	e := (*w)[last]
	*w = (*w)[:last]
	return e
}
