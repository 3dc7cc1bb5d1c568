// Package architect is the only mover of builds. It takes triggers in, has their
// plans drawn, hands tasks to builders, listens to what becomes of them, and
// records every move in the repository's ledger before anyone is told of it.
//
// It keeps the unfinished builds in memory, one step ahead of the ledger: a move
// is made at once, and whatever it causes outside (an assignment, an answer, an
// event) waits until the move is durable. A process that dies loses nothing but
// what nobody had been told.
package architect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A Wire carries what the architect says to builders.
type Wire interface {
	// Assign returns nil once the builder has the task, a *dispatch.RefusedError
	// if it will not take it, another error if nobody knows.
	Assign(ctx context.Context, builder string, a dispatch.Assignment) error
	// Cancel returns nil once the builder knows that it shall stop.
	Cancel(ctx context.Context, builder string, a dispatch.Attempt, reason string) error
	// Publish tells followers; nothing depends on its arrival.
	Publish(e build.Event) error
}

// Limits of the architect's patience.
const (
	DefaultAttempts = 3                // interrupted tries of a task before it fails
	acceptWithin    = 10 * time.Second // for a builder to answer an assignment
	stopWithin      = 15 * time.Second // for a canceled attempt to end
	overtime        = time.Minute      // on top of a task's own timeout
	sweepEvery      = time.Second
)

// An Architect serves any number of sites. Its fields are set before Run. All
// methods are safe for concurrent use.
type Architect struct {
	Wire     Wire
	Logger   *slog.Logger
	Now      func() time.Time
	Attempts int // 0 means DefaultAttempts
	// Fit hands a task only to builders that have its labels and executors.
	// Otherwise the builders are those of a user who wants to see it built here.
	Fit    bool
	Seal   []byte             // secret that attempts' credentials for sources are made of; nil for none
	Traced bool               // somebody sends traces of builds: attempts are told
	Opened func(*Watch)       // shown every build in a goroutine of its own; closes the watch; may be nil
	Closed func(*build.Build) // called when a build is final and in the archive; may be nil
	// Observe is told what became durable, in order for each build. It is called with
	// locks held: it must neither wait nor call the architect. May be nil.
	Observe func(Fact)
	// Within reports whether a builder is in this process, which is not lost without the
	// other: its silence only says that neither gets to run. It is called with locks
	// held. May be nil.
	Within func(builder string) bool
	// Deaf reports whether the wire is broken: no builder can be heard then, and
	// none is lost for it. It is called with locks held; nil: it never is.
	Deaf func() bool
	// Gathering reports whether sites are yet to be opened whose builds may be under
	// way: what builders say of builds that nobody knows is asked for again then. It
	// is called with locks held; nil: there are none.
	Gathering func() bool

	mu        sync.Mutex
	sites     []*Site
	attend    func(*Site) // begins the intake of a site; nil unless Run is at it
	works     map[build.ID]*work
	queued    []*work // works that wait for others of their group
	dirty     []*work // works with moves that are not yet on their way to the ledger
	builders  map[string]*member
	standings map[string]Standing
	stopping  bool          // nothing is given out any more
	unsettled bool          // something changed that decides who builds what
	resting   time.Time     // when the first of the tasks that wait to be tried again may be; zero if none waits
	heard     time.Time     // since when builders can be heard
	watches   int           // open ones
	changed   chan struct{} // closed and renewed whenever something a waiter may wait for changes
	sooner    chan struct{} // the sweep shall look when the next backoff ends; capacity 1
	fatal     chan error
}

// New is an architect without sites.
func New(wire Wire, log *slog.Logger, now func() time.Time) *Architect {
	return &Architect{
		Wire: wire, Logger: log, Now: now,
		works:     map[build.ID]*work{},
		builders:  map[string]*member{},
		standings: map[string]Standing{},
		changed:   make(chan struct{}),
		sooner:    make(chan struct{}, 1),
		fatal:     make(chan error, 1),
	}
}

// Open takes a site into the architect's care, also while it runs: the unfinished
// builds go on. Attempts that were under way are the builder's to claim; what it
// does not claim is interrupted and tried again. A site is opened once.
func (a *Architect) Open(ctx context.Context, s *Site) error {
	loaded, err := s.History.Live(ctx)
	if err != nil {
		return fmt.Errorf("open %s: %w", s.Called(), err)
	}
	tips, known, err := s.History.Tips(ctx)
	if err != nil {
		return fmt.Errorf("open %s: %w", s.Called(), err)
	}
	marks, err := s.History.Marks(ctx)
	if err != nil {
		return fmt.Errorf("open %s: %w", s.Called(), err)
	}
	s.prepare(tips, known, marks)
	var urgent map[string]int
	if len(loaded) > 0 {
		urgent = a.urgent(ctx, s, plan.Trigger{}, nil)
	}
	a.mu.Lock()
	defer a.commit()
	a.sites = append(a.sites, s)
	for _, l := range loaded {
		a.adopt(s, l, urgent[l.Build.Name])
	}
	if a.attend != nil {
		a.attend(s)
	}
	return nil
}

// Close gives a site back: when it returns nil, the site's intake has ended and
// nothing more of its unfinished builds is moved or recorded. They stay as they are
// in git, for whoever opens the repository next; what builders still run of them is
// theirs to claim then, and is stopped by their next sign of life until then.
// Whoever follows one of the builds gets ErrClosed. The ledger is the caller's to
// release, after that; what was appended to it by now may still be on its way.
func (a *Architect) Close(ctx context.Context, s *Site) error {
	a.mu.Lock()
	stop, ended := s.stop, s.ended
	a.mu.Unlock()
	if stop != nil {
		stop()
		select {
		case <-ended:
		case <-ctx.Done():
			return fmt.Errorf("close %s: %w", s.Called(), context.Cause(ctx))
		}
	}
	a.mu.Lock()
	defer a.commit()
	s.closed = true
	s.leave()
	a.sites = slices.DeleteFunc(a.sites, func(other *Site) bool { return other == s })
	a.queued = slices.DeleteFunc(a.queued, func(w *work) bool { return w.site == s })
	for id, w := range a.works {
		if w.site != s {
			continue
		}
		if !w.b.State().Final() { // the ledger folds those that are
			delete(a.works, id)
		}
		a.stir(w)
	}
	a.unsettled = true
	a.notify()
	return nil
}

// adopt goes on with a build that an earlier process left unfinished.
func (a *Architect) adopt(s *Site, l Loaded, priority int) {
	if l.Build.State().Final() {
		return // the ledger folds it
	}
	w := newWork(s, l.Build, l.Plan)
	w.durable, w.priority = l.Build.Clone(), priority
	now := a.Now()
	for i := range l.Build.Stages {
		for j := range l.Build.Stages[i].Tasks {
			if t := &l.Build.Stages[i].Tasks[j]; inFlight(t) {
				f := &flight{builder: t.Builder, attempt: t.Attempt, sent: now}
				if l.Build.Canceled != "" { // its builder may not have been told: the sweep does
					f.stopped, f.reason = now, l.Build.Canceled
				}
				w.flights[t.Key] = f
				a.heard = now // its builder may have to find the way back first
			}
		}
	}
	a.works[l.Build.ID] = w
	if l.Build.Started.IsZero() { // it waits for its turn, or its start was cut off
		a.enter(w)
	}
	a.touch(w)
	w.show()
	a.show(w)
	s.answer(l.Build.Trigger.ID, Answer{Builds: []build.ID{l.Build.ID}})
}

// Run serves the sites until ctx ends or a ledger breaks; the error then says
// how. Nothing is lost by stopping: what is unfinished stays so in git.
func (a *Architect) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	a.mu.Lock()
	a.attend = func(s *Site) {
		own, stop := context.WithCancel(ctx)
		s.stop, s.ended = stop, make(chan struct{})
		group.Go(func() error { defer close(s.ended); a.intake(own, s); return nil })
	}
	for _, s := range a.sites {
		a.attend(s)
	}
	a.mu.Unlock()
	group.Go(func() error {
		<-ctx.Done()
		a.mu.Lock()
		defer a.mu.Unlock()
		a.attend = nil // no intake joins a group that is being waited for in vain
		return nil
	})
	group.Go(func() error { a.sweep(ctx); return nil })
	group.Go(func() error {
		select {
		case err := <-a.fatal:
			return err
		case <-ctx.Done():
			return nil
		}
	})
	return group.Wait()
}

// Fail ends Run with an error: a ledger that cannot record is nothing to go on
// with.
func (a *Architect) Fail(err error) {
	select {
	case a.fatal <- err:
	default: // the first failure is the cause of the others
	}
}

// notify wakes whoever waits for something to change. The lock is held.
func (a *Architect) notify() {
	close(a.changed)
	a.changed = make(chan struct{})
}

// ErrClosed means that the site of a build was closed.
var ErrClosed = errors.New("the repository is not served any more")

// ErrNoBuild means that the architect has no unfinished build of that id.
var ErrNoBuild = errors.New("no unfinished build of this id")

// Cancel asks for a build to end, for a reason such as "canceled". What waits
// for a builder fails at once; what runs is stopped.
func (a *Architect) Cancel(ctx context.Context, id build.ID, reason string) error {
	a.mu.Lock()
	w, ok := a.works[id]
	if !ok {
		a.mu.Unlock()
		return fmt.Errorf("cancel %s: %w", id, ErrNoBuild)
	}
	durable := make(chan struct{})
	err := w.do(build.Move{Kind: build.Canceling, Reason: reason, At: a.Now()}, func() { close(durable) })
	a.touch(w)
	a.stopAll(w)
	a.commit()
	if err != nil {
		return fmt.Errorf("cancel %s: %w", id, err)
	}
	select {
	case <-durable:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cancel %s: %w", id, context.Cause(ctx))
	}
}

// WaitIdle returns when no site has anything to do and everybody who watches a
// build has seen its end, or when ctx ends. Builds that wait for approval do not
// count: they may wait for days.
func (a *Architect) WaitIdle(ctx context.Context) error {
	for {
		a.mu.Lock()
		idle, changed := a.idle(), a.changed
		a.mu.Unlock()
		if idle {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Idle reports whether WaitIdle would return at once.
func (a *Architect) Idle() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.idle()
}

func (a *Architect) idle() bool {
	for _, s := range a.sites {
		if !s.quiet() {
			return false
		}
	}
	watches := a.watches
	for _, w := range a.works {
		if !w.b.AwaitsApproval() {
			return false
		}
		watches -= w.watchers // whoever watches it waits for people, too
	}
	return watches == 0
}
