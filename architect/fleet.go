package architect

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/architect/queue"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A Standing is what has been decided about a builder, whatever it says itself.
type Standing struct {
	Drained   bool // takes nothing new
	Untrusted bool // gets code of strangers, and nothing else
	Revoked   bool // is cut off: what it was given is somebody else's
}

// Place says how a builder stands. It applies at once.
func (a *Architect) Place(builder string, s Standing) {
	a.mu.Lock()
	defer a.commit()
	a.standings[builder] = s
	a.unsettled = true
	if !s.Revoked {
		return
	}
	delete(a.builders, builder)
	for id, w := range a.works {
		for key, f := range w.flights {
			if f.builder == builder {
				a.lose(w, dispatch.Attempt{Build: id, Task: key, Number: f.attempt}, "builder revoked")
			}
		}
	}
}

// needsOf are what the tasks of a plan for a trigger ask of their builders.
func needsOf(p *plan.Plan, t plan.Trigger) map[string]queue.Needs {
	needs := map[string]queue.Needs{}
	if p == nil {
		return needs
	}
	strange := !trusted(t)
	for i := range p.Stages {
		for j := range p.Stages[i].Tasks {
			task := &p.Stages[i].Tasks[j]
			needs[task.Key] = queue.NewNeeds(task.Labels, executorsOf(task), strange)
		}
	}
	return needs
}

// NeedsOf is what a task of trusted code asks of its builder; what are its parts, for
// people.
func NeedsOf(t *plan.Task) (needs queue.Needs, what []string) {
	what = executorsOf(t)
	for _, name := range slices.Sorted(maps.Keys(t.Labels)) {
		what = append(what, name+"="+t.Labels[name])
	}
	return queue.NewNeeds(t.Labels, executorsOf(t), false), what
}

// hostExecutor is the builder's own machine among the executors.
const hostExecutor = "host"

// executorsOf are the executors that a task's steps run in.
func executorsOf(t *plan.Task) []string {
	compose, docker, host := false, false, false
	for _, s := range t.Steps {
		switch {
		case s.Type == plan.StepCompose:
			compose, docker = true, true
		case s.Run != nil && s.Run.Image == "":
			host = true
		default:
			docker = true
		}
	}
	var all []string
	if compose {
		all = append(all, "compose")
	}
	if docker {
		all = append(all, "docker")
	}
	if host {
		all = append(all, hostExecutor)
	}
	return all
}

// ready is a task as the queue sees it.
func (a *Architect) ready(w *work, t *build.Task) queue.Task {
	out := queue.Task{Repository: w.site.Identity(), Called: w.site.Called(), Build: w.b.ID, Key: t.Key, Since: t.Ready, Priority: w.priority}
	switch {
	case a.Fit:
		out.Needs = w.needs[t.Key]
	case !trusted(w.b.Trigger):
		out.Needs = queue.NewNeeds(nil, nil, true) // never the builder of whoever wants to see it built here
	}
	return out
}

// offer is a builder as the queue sees it.
func (a *Architect) offer(name string, m *member, busy int) queue.Builder {
	b := queue.Builder{Name: name, Capacity: m.capacity, Busy: busy}
	if a.Fit {
		s := a.standings[name]
		b.Draining = s.Drained
		b.Reason = m.said.Reason
		b.Mirrors = m.said.Mirrors
		b.Offer = queue.Offer{
			Labels: m.said.Labels, Executors: m.said.Executors, Untrusted: s.Untrusted || m.said.Untrusted,
		}
	}
	return b
}

// Why says what a task waits for, if it waits for a builder.
func (a *Architect) Why(id build.ID, key string) (string, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := a.works[id]
	if w == nil {
		return "", false
	}
	t, ok := w.b.Task(key)
	if !ok || t.State != build.Ready {
		return "", false
	}
	if now := a.Now(); t.Ready.After(now) {
		return fmt.Sprintf("tried again in %s: %s", t.Ready.Sub(now).Round(time.Second), t.Reason), true
	}
	return queue.Why(a.picture(), a.ready(w, t)), true
}

// Admits reports whether a credential is that of an attempt under way that was
// given the repository, by its Identity.
func (a *Architect) Admits(repository, credential string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.Seal) == 0 {
		return false
	}
	found := false
	for id, w := range a.works {
		if w.site.Identity() != repository {
			continue
		}
		for key, f := range w.flights {
			at := dispatch.Attempt{Build: id, Task: key, Number: f.attempt}
			found = hmac.Equal([]byte(a.credential(at)), []byte(credential)) || found
		}
	}
	return found
}

// credential opens the repository of an attempt as long as that is under way. It
// follows from the attempt, so that a new process of the architect knows it, too.
func (a *Architect) credential(at dispatch.Attempt) string {
	if len(a.Seal) == 0 {
		return ""
	}
	mac := hmac.New(sha256.New, a.Seal)
	mac.Write([]byte("velocity/1 source of attempt " + at.String())) // never fails
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
