package report

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
)

// A Reporter brings what forges show up to the builds there are. It keeps what is
// to be shown of each check, not what has happened: of many changes the last one
// counts, and whatever is lost on the way is found again by a sweep.
//
// What a forge was told is kept durably around every post that must not be made
// twice or not at all, so that a crash between any two steps costs a question to
// the forge at most. Nothing is final and then not final again.
//
// The fields are set before the first call and not changed after it.
type Reporter struct {
	Compose *Composer
	Posters map[forge.Kind]forge.Poster // for the forges that there are
	Memory  Memory
	Source  Source
	Logger  *slog.Logger
	Now     func() time.Time
	Jitter  func() float64 // from 0 up to 1, anew with each call
	// Notice hears why a build's check is not shown, once for each reason; nil if
	// nobody does. It must not call the Reporter.
	Notice func(r forge.Repository, id build.ID, reason string)

	mu      sync.Mutex
	entries map[Key]*entry
	lanes   map[laneKey]*lane
	start   func(*lane) // begins a worker; nil unless Run does
	stats   Stats
}

// Changed shows a build as it now is. The state has to be durable: what is said to
// a forge cannot be taken back. Calls may come late, twice and out of order. It
// does not wait for anything.
func (r *Reporter) Changed(s Shown) {
	subjects := r.Compose.Subjects(s)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, subject := range subjects {
		r.want(subject)
	}
}

// want makes a subject what its check is to show, unless that is newer. The lock
// is held.
func (r *Reporter) want(s Subject) {
	k := Key{Repository: s.Repository.Key, Commit: s.Build.Trigger.Commit, Name: s.Name()}
	e, ok := r.entries[k]
	switch {
	case !ok:
		if r.entries == nil {
			r.entries = map[Key]*entry{}
		}
		e = &entry{key: k}
		r.entries[k] = e
	case !newer(s, e.subject):
		return
	case e.forbidden && s.Repository == e.subject.Repository:
		e.show(s)
		return // it would not be permitted either
	case e.parked != "":
		e.forget() // it may be another request now
	}
	e.show(s)
	r.enlist(e)
}

// enlist puts an entry into its lane, to be posted. The lock is held.
func (r *Reporter) enlist(e *entry) {
	l := r.lane(laneOf(e.subject.Repository))
	if e.lane != l {
		if e.lane != nil {
			delete(e.lane.entries, e.key)
		}
		e.lane = l
		l.entries[e.key] = e
	}
	if e.since.IsZero() {
		e.since = r.Now()
	}
	e.wanted = true
	r.rouse(l)
}

func (r *Reporter) lane(k laneKey) *lane {
	l, ok := r.lanes[k]
	if !ok {
		if r.lanes == nil {
			r.lanes = map[laneKey]*lane{}
		}
		l = &lane{key: k, entries: map[Key]*entry{}, budget: newBudget(r.Now()), wake: make(chan struct{}, 1)}
		r.lanes[k] = l
	}
	return l
}

// rouse has somebody look at the lane. The lock is held.
func (r *Reporter) rouse(l *lane) {
	if !l.running && r.start != nil {
		l.running = true
		r.start(l)
		return
	}
	l.stir()
}

// drop forgets an entry that the forge shows as it is. The lock is held.
func (r *Reporter) drop(e *entry) {
	delete(r.entries, e.key)
	delete(e.lane.entries, e.key)
}

// sweepEvery is how often builds are compared with what was told of them, and
// sweepBack how long after their end.
const (
	sweepEvery = time.Hour
	sweepBack  = 7 * 24 * time.Hour
)

// Run posts until ctx is done, beginning with a sweep. It is called once. What is
// not posted when it ends is found by the next sweep, in whatever process.
func (r *Reporter) Run(ctx context.Context) {
	var workers sync.WaitGroup
	defer workers.Wait()
	r.mu.Lock()
	r.start = func(l *lane) { workers.Go(func() { r.work(ctx, l) }) }
	for _, l := range r.lanes {
		r.rouse(l)
	}
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.start = nil
	}()
	r.Sweep(ctx)
	for every := time.NewTicker(sweepEvery); ; {
		select {
		case <-ctx.Done():
			every.Stop()
			return
		case <-every.C:
			r.Sweep(ctx)
		}
	}
}

// Sweep compares all builds of the last time with what forges were told of them,
// and tries again what they did not permit: call it also when somebody may have
// granted a permission.
func (r *Reporter) Sweep(ctx context.Context) {
	seen := map[Key]bool{}
	whole := true
	for s, err := range r.Source.Builds(ctx, r.Now().Add(-sweepBack)) {
		if err != nil {
			r.Logger.Error("sweep of reports", "err", err)
			whole = false
			continue
		}
		for _, subject := range r.Compose.Subjects(s) {
			seen[Key{s.Repository.Key, s.Build.Trigger.Commit, subject.Name()}] = true
			r.sweep(ctx, subject)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.entries {
		switch {
		case e.busy || e.wanted:
		case e.parked == "":
			if e.known && e.told.External == e.external && r.stale(e.told) {
				r.enlist(e)
			}
		case e.forbidden:
			e.forget()
			r.enlist(e)
		case whole && ctx.Err() == nil && !seen[e.key]:
			r.drop(e) // it is too long ago to matter
		}
	}
}

// sweep wants a subject of which the forge does not know all.
func (r *Reporter) sweep(ctx context.Context, s Subject) {
	k := Key{s.Repository.Key, s.Build.Trigger.Commit, s.Name()}
	told, err := r.Memory.Told(ctx, k)
	if err == nil && settled(s, told) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.want(s)
}

// Parked lists the checks that are not tried for now, the first to be parked first.
func (r *Reporter) Parked() (all []Parked) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.entries {
		if e.parked != "" {
			all = append(all, Parked{Key: e.key, Build: e.subject.Build.ID, Reason: e.parked, Since: e.parkedAt})
		}
	}
	slices.SortFunc(all, func(p, q Parked) int { return p.Since.Compare(q.Since) })
	return all
}

// Stats tells how it goes.
func (r *Reporter) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, now := r.stats, r.Now()
	for _, e := range r.entries {
		if e.parked != "" {
			s.Parked++
		} else if e.wanted || e.busy {
			s.Waiting++
			s.OldestWait = max(s.OldestWait, now.Sub(e.since))
		}
	}
	return s
}
