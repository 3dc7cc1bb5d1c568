package architect

import (
	"time"

	"github.com/velocity-ci/velocity/architect/build"
)

// A Fact is what became durable of one build at once, for those who look on. What
// is in it must not be changed.
type Fact struct {
	Site   *Site
	Build  *build.Build // after the moves
	Moves  []build.Move
	Events []build.Event // that they emitted
}

// A Load is how much there is to do at one moment, and who is there to do it.
type Load struct {
	Builds     int           // that are not over
	Ready      int           // tasks that wait for a builder
	OldestWait time.Duration // of the one of them that waits longest; 0 if none does
	Running    int           // attempts that builders have or are being offered
	Builders   int           // that are connected
	Capacity   int           // attempts that they take at the same time
	Busy       int           // of those, in use
}

// Load counts.
func (a *Architect) Load() Load {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.Now()
	l := Load{Builds: len(a.works), Builders: len(a.builders)}
	for name, m := range a.builders {
		if !a.standings[name].Drained {
			l.Capacity += m.capacity
		}
	}
	for _, w := range a.works {
		for _, f := range w.flights {
			l.Running++
			if a.builders[f.builder] != nil {
				l.Busy++
			}
		}
		for i := range w.b.Stages {
			for j := range w.b.Stages[i].Tasks {
				t := &w.b.Stages[i].Tasks[j]
				if t.State != build.Ready || t.Ready.After(now) { // it is to be tried again later
					continue
				}
				l.Ready++
				l.OldestWait = max(l.OldestWait, now.Sub(t.Ready))
			}
		}
	}
	return l
}
