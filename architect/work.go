package architect

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/architect/queue"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A work is an unfinished build in the architect's hands.
type work struct {
	site *Site
	plan *plan.Plan
	// branch is the one whose pushes of earlier commits need no builds beside this
	// one any more; "" for none. Only entering needs it.
	branch string
	b      *build.Build // ahead of the ledger by the moves in pending and on their way

	needs   map[string]queue.Needs // by task key
	values  map[string]string      // of secret parameters, in memory only
	flights map[string]*flight

	priority int // as the default branch had it when the build was made, or its architect began

	pending build.Change
	after   []func() // called without the lock once pending is durable

	durable  *build.Build // as recorded; never changed, only replaced
	told     *build.Build // replays the recorded moves, to learn their events
	folded   bool
	watchers int
	shown    atomic.Pointer[showing] // what watchers see
}

// A showing is what watchers see of a work until there is something new.
type showing struct {
	build   *build.Build  // as recorded; nil if it is not yet
	over    bool          // it is final and in the archive
	left    bool          // it is in nobody's hands
	changed chan struct{} // closed when there is something new
}

// A flight is an attempt that a builder has or was offered.
type flight struct {
	builder string
	boot    string // of the builder's process that was asked; "" for an earlier architect's
	attempt int
	sent    time.Time
	taken   bool
	missed  int // signs of life of that builder that did not mention it
	stopped time.Time
	reason  string // to give with the stop
}

func newWork(s *Site, b *build.Build, p *plan.Plan) *work {
	w := &work{site: s, plan: p, b: b, needs: needsOf(p, b.Trigger), flights: map[string]*flight{}, told: b.Clone()}
	w.shown.Store(&showing{changed: make(chan struct{})})
	return w
}

func inFlight(t *build.Task) bool { return t.State == build.Scheduled || t.State == build.Building }

// do makes a move. then is called once it is durable; it may be nil.
func (w *work) do(m build.Move, then func()) error {
	moves, err := w.b.Do(m)
	if err != nil {
		return err
	}
	w.record(moves, then)
	return nil
}

// record queues moves that were made.
func (w *work) record(moves []build.Move, then func()) {
	w.pending.Moves = append(w.pending.Moves, moves...)
	for _, m := range moves {
		if t, ok := w.b.Task(m.Task); ok && !inFlight(t) {
			delete(w.flights, m.Task)
		}
	}
	if then != nil {
		w.after = append(w.after, then)
	}
}

// touch notes that w has something to record. The lock is held.
func (a *Architect) touch(w *work) {
	a.unsettled = true
	if w.site.closed {
		return // somebody else may be recording it by now
	}
	if !slices.Contains(a.dirty, w) {
		a.dirty = append(a.dirty, w)
	}
}

// commit hands out what is ready, sends everything that was moved to the ledger,
// and gives the lock back. What one turn of the architect moves in a build goes
// in one change, so that a verdict, the next stage's start and its assignments
// cost one write.
func (a *Architect) commit() {
	if a.unsettled { // a sign of life that says nothing new costs no decision
		a.letIn()
		a.schedule()
		a.unsettled = false
	}
	for _, w := range a.dirty {
		a.flush(w)
	}
	a.dirty = a.dirty[:0]
	a.mu.Unlock()
}

// flush sends a work's pending moves to the ledger. The lock is held.
func (a *Architect) flush(w *work) {
	if len(w.pending.Moves) == 0 && len(w.after) == 0 {
		return
	}
	c, after := w.pending, w.after
	if slices.ContainsFunc(c.Moves, func(m build.Move) bool { return m.Kind == build.Retry }) {
		a.resweep()
	}
	w.pending, w.after = build.Change{}, nil
	c.Build = w.b.Clone()
	if len(c.Moves) == 0 {
		c.Build = nil // nothing new of the build: only its waiters are served
	}
	w.site.Ledger.Append(c, func(err error) {
		if err != nil {
			a.Fail(fmt.Errorf("record build %s of %s: %w", w.b.ID, w.site.Name, err))
			return
		}
		a.recorded(w, c)
		for _, then := range after {
			then()
		}
	})
}

// recorded shows a durable change to everyone it concerns.
func (a *Architect) recorded(w *work, c build.Change) {
	w.site.settled(c.Settled)
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.Build != nil {
		opened := w.durable == nil
		w.durable = c.Build
		var emitted []build.Event
		for _, m := range c.Moves {
			events, _ := w.told.Apply(m) // the same moves were legal on w.b
			a.tell(w, m, events)
			emitted = append(emitted, events...)
		}
		if a.Observe != nil {
			a.Observe(Fact{Site: w.site, Build: c.Build, Moves: c.Moves, Events: emitted})
		}
		if opened {
			defer a.show(w)
		}
	}
	a.stir(w)
}

// tell publishes events and logs the move.
func (a *Architect) tell(w *work, m build.Move, events []build.Event) {
	for _, e := range events {
		if err := a.Wire.Publish(e); err != nil {
			a.Logger.Warn("event not published", "build", w.b.ID.String(), "event", string(e.Type), "err", err)
		}
	}
	if m.From != m.To {
		a.Logger.Info("move", "repo", w.site.Called(), "build", w.b.ID.String(), "task", m.Task, "attempt", m.Attempt,
			"builder", m.Builder, "from", string(m.From), "to", string(m.To), "reason", m.Reason)
	}
}

// stir wakes a work's watchers. The lock is held.
func (a *Architect) stir(w *work) {
	before := w.shown.Load()
	w.show()
	close(before.changed)
	a.notify()
}

// show has watchers see how the work stands. The lock is held.
func (w *work) show() {
	w.shown.Store(&showing{
		build: w.durable, over: w.folded, left: w.site.closed && !w.b.State().Final(), changed: make(chan struct{}),
	})
}

// Folded tells the architect that a build is final and in the archive. The
// ledger's owner calls it.
func (a *Architect) Folded(id build.ID) {
	a.mu.Lock()
	w, ok := a.works[id]
	if !ok {
		a.mu.Unlock()
		return
	}
	w.folded = true
	delete(a.works, id)
	if w.watchers == 0 {
		w.site.Logs.Drop(id)
	}
	a.mu.Unlock()
	if a.Closed != nil {
		a.Closed(w.durable)
	}
	a.mu.Lock()
	a.stir(w)
	a.mu.Unlock()
}

// interrupt ends an attempt without a verdict, and the task with it when it has
// been tried often enough. The lock is held.
func (a *Architect) interrupt(w *work, key string, attempt int, reason string, then func()) error {
	now := a.Now()
	err := w.do(build.Move{Kind: build.Interrupt, Task: key, Attempt: attempt, Reason: reason, At: now}, then)
	if err != nil {
		return err
	}
	a.touch(w)
	t, ok := w.b.Task(key)
	if ok && t.State == build.Ready && len(t.Lost) >= a.attempts() {
		reason := fmt.Sprintf("%s (%d attempts)", reason, len(t.Lost))
		return w.do(build.Move{Kind: build.Fail, Task: key, Reason: reason, At: now}, nil)
	}
	return nil
}

func (a *Architect) attempts() int {
	if a.Attempts > 0 {
		return a.Attempts
	}
	return DefaultAttempts
}

// errGathering has a builder ask again.
var errGathering = errors.New("not all repositories are open yet")

// current finds the work and task of an attempt that somebody speaks for.
func (a *Architect) current(builder string, at dispatch.Attempt) (*work, *build.Task, error) {
	w, ok := a.works[at.Build]
	switch {
	case !ok && a.Gathering != nil && a.Gathering():
		return nil, nil, errGathering
	case !ok:
		return nil, nil, dispatch.ErrStale
	}
	t, ok := w.b.Task(at.Task)
	if !ok || !inFlight(t) || t.Attempt != at.Number || t.Builder != builder {
		return nil, nil, dispatch.ErrStale
	}
	return w, t, nil
}

// assignment is what a builder needs for an attempt.
func (w *work) assignment(t *build.Task) (dispatch.Assignment, error) {
	task, ok := w.plan.Task(t.Key)
	if !ok {
		return dispatch.Assignment{}, fmt.Errorf("plan of build %s has no task %s", w.b.ID, t.Key)
	}
	values := maps.Clone(w.values)
	if values == nil {
		values = map[string]string{}
	}
	maps.Copy(values, facts(w.b))
	return dispatch.Assignment{
		Attempt:    dispatch.Attempt{Build: w.b.ID, Task: t.Key, Number: t.Attempt},
		Repository: w.site.Identity(), Source: w.site.Source,
		Commit: w.plan.Commit, Ref: w.plan.Ref, Git: w.plan.Git,
		Task: *task, Values: values, Needs: w.needed(task), Submodules: w.site.Modules,
		Untrusted: !trusted(w.b.Trigger),
	}, nil
}
