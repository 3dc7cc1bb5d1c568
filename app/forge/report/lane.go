package report

import (
	"context"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
)

// A laneKey is what a forge counts calls for: an installation of our App on GitHub,
// a project on GitLab.
type laneKey struct {
	kind forge.Kind
	id   int64
}

func laneOf(r forge.Repository) laneKey {
	if r.Kind == forge.GitHub {
		return laneKey{r.Kind, r.Installation}
	}
	return laneKey{r.Kind, r.ID}
}

// A lane posts one check after the other. All but wake is guarded by the
// Reporter's lock.
type lane struct {
	key     laneKey
	entries map[Key]*entry
	budget  budget
	until   time.Time // the forge takes nothing before
	running bool
	wake    chan struct{} // holds one: something has changed
}

func (l *lane) stir() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// next picks the entry to be posted now, or says when to look again; 0 means that
// only a change brings work. An entry that is busy in another lane, which it has
// left, stirs this one when it is not any more.
func (l *lane) next(now time.Time) (picked *entry, wait time.Duration) {
	var soonest time.Time
	at := func(t time.Time) {
		if soonest.IsZero() || t.Before(soonest) {
			soonest = t
		}
	}
	for _, e := range l.entries {
		if e.busy || !e.wanted || e.parked != "" {
			continue
		}
		due := e.due()
		if due.Before(l.until) {
			due = l.until
		}
		if blocked := now.Add(l.budget.wait(e.rank(), now)); blocked.After(due) {
			due = blocked
		}
		if due.After(now) {
			at(due)
		} else if picked == nil || before(e, picked) {
			picked = e
		}
	}
	if picked != nil || soonest.IsZero() {
		return picked, 0
	}
	return nil, soonest.Sub(now)
}

// before orders entries that may be posted now.
func before(e, f *entry) bool {
	if e.rank() != f.rank() {
		return e.rank() > f.rank()
	}
	return e.since.Before(f.since)
}

// work posts what a lane has until ctx is done or nothing is left.
func (r *Reporter) work(ctx context.Context, l *lane) {
	for ctx.Err() == nil {
		e, wait, over := r.pick(l)
		switch {
		case over:
			return
		case e != nil:
			r.serve(ctx, l, e)
		default:
			rest(ctx, l.wake, wait)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l.running = false
}

// rest waits for a change, or for a time if there is one.
func rest(ctx context.Context, wake <-chan struct{}, wait time.Duration) {
	var passed <-chan time.Time
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		passed = timer.C
	}
	select {
	case <-ctx.Done():
	case <-wake:
	case <-passed:
	}
}

// pick takes the next entry of a lane. over means that the lane has none that
// could ever become due by itself: its worker ends, and is started again when
// there is more.
func (r *Reporter) pick(l *lane) (e *entry, wait time.Duration, over bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, wait = l.next(r.Now())
	switch {
	case e != nil:
		e.busy, e.wanted = true, false
	case wait == 0:
		l.running, over = false, true
	}
	return e, wait, over
}
