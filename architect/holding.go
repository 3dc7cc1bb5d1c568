package architect

import (
	"context"
	"crypto/hmac"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/architect/grant"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// needed are the tasks whose artifacts a task needs. Those that were skipped have
// none. The lock is held.
func (w *work) needed(task *plan.Task) []dispatch.Need {
	var needs []dispatch.Need
	for _, key := range task.Needs {
		t, ok := w.b.Task(key)
		if !ok || t.Reason == build.ReasonSkipped {
			continue
		}
		need := dispatch.Need{Name: t.Name, Of: w.b.ID, Task: key}
		if !t.Reused.Zero() {
			need.Of, need.Task = t.Reused.Build, t.Reused.Task
		}
		needs = append(needs, need)
	}
	return needs
}

// cachesOf says which caches the attempts of a build may read, and whether they may
// leave new ones there. What a later build goes on with must not come from whoever
// could push some other branch.
func cachesOf(p *plan.Plan, d grant.Decision) (class dispatch.CacheClass, write bool) {
	switch {
	case !d.ReadCache:
		return "", false
	case p.Event == plan.EventLocal:
		return dispatch.LocalCaches, d.WriteCache
	}
	return dispatch.TrustedCaches, d.WriteCache
}

// Holds finds the assignment of the attempt under way that has a credential. It is
// what the attempt may do, whatever its builder says.
func (a *Architect) Holds(credential string) (dispatch.Assignment, bool) {
	w, held, ok := a.holder(credential)
	if !ok {
		return held, false
	}
	held.Caches, held.CacheWrite = cachesOf(w.plan, a.rights(context.Background(), w, &held.Task))
	return held, true
}

func (a *Architect) holder(credential string) (found *work, held dispatch.Assignment, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.Seal) == 0 {
		return nil, held, false
	}
	for id, w := range a.works {
		for key, f := range w.flights {
			at := dispatch.Attempt{Build: id, Task: key, Number: f.attempt}
			if !hmac.Equal([]byte(a.credential(at)), []byte(credential)) {
				continue
			}
			t, there := w.b.Task(key)
			if !there {
				continue
			}
			if one, err := w.assignment(t); err == nil && one.Attempt == at {
				found, held, ok = w, one, true
			}
		}
	}
	return found, held, ok
}
