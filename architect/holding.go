package architect

import (
	"context"
	"crypto/hmac"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
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

// caches says which caches the attempts of a build may read, and whether they may
// leave new ones there: those of the default branch and of tags, once they were
// pushed or their time came. What a later build goes on with must not come from
// whoever could push some other branch. Without the lock: it asks the repository.
func (a *Architect) caches(w *work) (class dispatch.CacheClass, write bool) {
	switch p := w.plan; p.Event {
	case plan.EventLocal:
		return dispatch.LocalCaches, true
	case plan.EventManual:
		return dispatch.TrustedCaches, false
	case plan.EventPush, plan.EventSchedule:
		if plan.Tag(p.Ref) != "" {
			return dispatch.TrustedCaches, true
		}
		head, err := w.site.Repo.Head(context.Background())
		if err != nil {
			a.Logger.Warn("the default branch is not known: caches are only read", "build", w.b.ID.String(), "err", err)
		}
		return dispatch.TrustedCaches, err == nil && head != "" && p.Ref == head
	}
	return "", false // a pull request may be anybody's
}

// Holds finds the assignment of the attempt under way that has a credential. It is
// what the attempt may do, whatever its builder says.
func (a *Architect) Holds(credential string) (dispatch.Assignment, bool) {
	w, held, ok := a.holder(credential)
	if !ok {
		return held, false
	}
	held.Caches, held.CacheWrite = a.caches(w)
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
