package plugin

import (
	"context"
	"time"
)

// A job is one plugin that is told of one build. The Runner's lock guards all but
// what is its worker's.
type job struct {
	plugin   Plugin
	tale     *tale
	lane     *lane
	progress Progress
	pending  bool      // there may be something to tell
	after    time.Time // not before, for the errors so far
	tries    int       // that failed, of the next event

	opened *opened // the worker's
	unkept bool    // the worker's: progress is not durable
}

// A lane tells its plugins one after the other. All but wake is guarded by the
// Runner's lock.
type lane struct {
	jobs     map[*job]bool
	failures int       // one after the other
	until    time.Time // the breaker is open before
	running  bool
	busy     bool          // a job is being served
	wake     chan struct{} // holds one: something has changed
}

// next picks the job to be served now, or says when to look again; 0 means that only
// a change brings work.
func (l *lane) next(now time.Time) (picked *job, wait time.Duration) {
	var soonest time.Time
	for j := range l.jobs {
		if !j.pending {
			continue
		}
		due := j.after
		if l.until.After(due) {
			due = l.until
		}
		switch {
		case due.After(now):
			if soonest.IsZero() || due.Before(soonest) {
				soonest = due
			}
		case picked == nil || before(j, picked):
			picked = j
		}
	}
	if picked != nil || soonest.IsZero() {
		return picked, 0
	}
	return nil, soonest.Sub(now)
}

// before orders jobs that can be served now: what has not failed comes first, so that
// one bad build does not hold up others, and then the older build.
func before(a, b *job) bool {
	if (a.tries == 0) != (b.tries == 0) {
		return a.tries == 0
	}
	if a.tale.order != b.tale.order {
		return a.tale.order < b.tale.order
	}
	return a.plugin.ID < b.plugin.ID
}

// failed counts a failure, and opens the breaker after too many.
func (l *lane) failed(now time.Time, jitter float64) {
	l.failures++
	if l.failures >= breakAfter {
		l.until = now.Add(backoff(firstBreak, longBreak, l.failures-breakAfter+1, 2, jitter))
	}
}

func (l *lane) stir() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// work serves a lane until ctx is done or nothing is left.
func (r *Runner) work(ctx context.Context, l *lane) {
	for ctx.Err() == nil {
		j, wait, over := r.pick(l)
		switch {
		case over:
			return
		case j != nil:
			r.serve(ctx, l, j)
			r.served(l)
		default:
			rest(ctx, l.wake, wait)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l.running = false
}

// pick takes the next job of a lane. over means that nothing becomes due by itself:
// the worker ends, and is started again when there is more.
func (r *Runner) pick(l *lane) (j *job, wait time.Duration, over bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	j, wait = l.next(r.Now())
	switch {
	case j != nil:
		j.pending = false // unless something comes meanwhile
		l.busy = true
	case wait == 0:
		l.running, over = false, true
	}
	return j, wait, over
}

// served says that a lane has nothing in hand.
func (r *Runner) served(l *lane) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.busy = false
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// Settle waits until all was tried that can be now: what failed and is tried again
// later does not count. Run must be at it. An error is that of ctx.
func (r *Runner) Settle(ctx context.Context) error {
	for {
		changed, settled := r.settled()
		if settled {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// settled reports whether Settle is over; if not, changed is closed when there is
// news.
func (r *Runner) settled() (changed <-chan struct{}, settled bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, settled := r.Now(), true
	for _, l := range r.lanes {
		due, _ := l.next(now)
		settled = settled && due == nil && !l.busy
	}
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return r.changed, settled
}

// rest waits for a change, or for a time.
func rest(ctx context.Context, wake <-chan struct{}, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}
