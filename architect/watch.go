package architect

import (
	"context"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A Watch shows a build while it is built. It is level-triggered: a watcher that
// is slow sees fewer states, never a wrong one, and reads logs at its own pace.
// Watchers take no lock that the architect works under, however many there are: as
// long as a build goes on, it does not wait for those who look.
type Watch struct {
	a *Architect
	w *work
}

// Watch follows an unfinished build. The caller must Close it. ok is false if
// the build is not in the architect's hands: it is in the ledger then, or nowhere.
func (a *Architect) Watch(id build.ID) (*Watch, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w, ok := a.works[id]
	if !ok || w.durable == nil {
		return nil, false
	}
	return a.watch(w), true
}

// watch counts a watch, which Close takes back. The lock is held.
func (a *Architect) watch(w *work) *Watch {
	w.watchers++
	a.watches++
	return &Watch{a: a, w: w}
}

// show gives a recorded build to whoever wants to see them all. The lock is held.
func (a *Architect) show(w *work) {
	if a.Opened != nil {
		go a.Opened(a.watch(w))
	}
}

// Await is Watch for a build that may not be recorded yet. ok is false if it is
// not in the architect's hands, or ctx ends first.
func (a *Architect) Await(ctx context.Context, id build.ID) (v *Watch, ok bool) {
	for {
		a.mu.Lock()
		_, here := a.works[id]
		changed := a.changed
		a.mu.Unlock()
		if v, ok := a.Watch(id); ok {
			return v, true
		}
		if !here {
			return nil, false
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, false
		}
	}
}

// State is the build as recorded, which the caller must not change; over says
// that it is final and in the archive; changed is closed when there is news.
func (v *Watch) State() (b *build.Build, over bool, changed <-chan struct{}) {
	s := v.w.shown.Load()
	return s.build, s.over, s.changed
}

// Left reports whether the build is in nobody's hands here: its site was closed
// before it was final.
func (v *Watch) Left() bool { return v.w.shown.Load().left }

// Of is the site whose build it is, and what is built; nil if none could be drawn.
// The caller must not change the plan.
func (v *Watch) Of() (s *Site, p *plan.Plan) { return v.w.site, v.w.plan }

// Close ends the watch.
func (v *Watch) Close() {
	v.a.mu.Lock()
	defer v.a.mu.Unlock()
	v.w.watchers--
	v.a.watches--
	v.a.notify()
	if v.w.watchers == 0 && v.w.folded {
		v.w.site.Logs.Drop(v.w.b.ID)
	}
}

// Answered waits for what becomes of a trigger of the site. ok is false when the
// trigger is neither answered in this process' memory nor waiting: an earlier
// process has dealt with it.
func (a *Architect) Answered(ctx context.Context, s *Site, id string) (answer Answer, ok bool, err error) {
	for {
		a.mu.Lock()
		changed := a.changed
		a.mu.Unlock()
		quiet := s.quiet() // looked at first: it may become so with the answer
		if answer, ok := s.answered(id); ok {
			return answer, true, nil
		}
		if quiet {
			return Answer{}, false, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Answer{}, false, context.Cause(ctx)
		}
	}
}

// Unfinished lists the builds in the architect's hands, as recorded.
func (a *Architect) Unfinished() []*build.Build {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []*build.Build
	for _, w := range a.works {
		if w.durable != nil {
			all = append(all, w.durable)
		}
	}
	return all
}
