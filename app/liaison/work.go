package liaison

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/hooks"
)

const (
	// abreast is how many repositories are dealt with at the same time.
	abreast = 8
	// lookEvery is how long a delivery waits at most that nobody announced.
	lookEvery = 30 * time.Second

	firstPause = time.Second
	longPause  = time.Minute
	// patience is how long a delivery is tried whose forge or repository fails. After
	// that long a comparison has found out what it was about.
	patience = 24 * time.Hour
)

// A job is a delivery in hand.
type job struct {
	delivery hooks.Delivery
	event    hooks.Event
}

// A lane holds the deliveries about one repository: they are worked off one after
// the other, in the order in which they came.
type lane struct{ jobs []job }

// work gives deliveries to lanes.
func (l *Liaison) work(ctx context.Context) {
	group, ctx := errgroup.WithContext(ctx)
	slots := make(chan struct{}, abreast)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := l.sort(ctx, func(k forge.Key) {
			group.Go(func() error { l.drain(ctx, k, slots); return nil })
		}); err != nil && ctx.Err() == nil {
			l.Log.Error("the inbox of deliveries cannot be read", "err", err)
		}
		select {
		case <-l.wake:
		case <-tick.C:
		case <-ctx.Done():
			_ = group.Wait() // lanes have no errors
			return
		}
	}
}

// sort puts what waits in the inbox into lanes, and has new ones drained.
func (l *Liaison) sort(ctx context.Context, drain func(forge.Key)) error {
	keys, err := l.Inbox.Waiting(ctx)
	if err != nil {
		return err
	}
	for _, key := range keys {
		l.mu.Lock()
		taken := l.hand[key]
		l.hand[key] = true
		l.mu.Unlock()
		if taken {
			continue
		}
		j, ok, err := l.open(ctx, key)
		if !ok || err != nil {
			l.release(key)
			if err != nil {
				return err
			}
			continue
		}
		at := forge.Key{Kind: forge.Kind(j.delivery.Forge), ID: j.event.Repository}
		l.mu.Lock()
		lane, there := l.lanes[at], true
		if lane == nil {
			lane, there = newLane(), false
			l.lanes[at] = lane
		}
		lane.jobs = append(lane.jobs, j)
		l.mu.Unlock()
		if !there {
			drain(at)
		}
	}
	return nil
}

func newLane() *lane { return &lane{} }

func (l *Liaison) release(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.hand, key)
}

// open reads a delivery. ok is false if it is none that can be worked off.
func (l *Liaison) open(ctx context.Context, key string) (j job, ok bool, err error) {
	if j.delivery, err = l.Inbox.Read(ctx, key); err != nil {
		return j, false, err
	}
	if more, err := l.Inbox.Begin(ctx, key); err != nil || !more {
		return j, false, err
	}
	if j.event, err = decode(j.delivery); err != nil {
		l.Log.Warn("a delivery cannot be read", "delivery", key, "event", j.delivery.Event, "err", err)
		return j, false, l.Inbox.Failed(ctx, key, err.Error())
	}
	return j, true, nil
}

// decode is hooks.Decode, which promises not to panic: one delivery that breaks the
// promise must not hold up the others.
func decode(d hooks.Delivery) (e hooks.Event, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error while reading it: %v", p)
		}
	}()
	return hooks.Decode(d)
}

// drain works off a lane until it is empty.
func (l *Liaison) drain(ctx context.Context, k forge.Key, slots chan struct{}) {
	for {
		l.mu.Lock()
		jobs := l.lanes[k].jobs
		if len(jobs) == 0 {
			delete(l.lanes, k)
			l.mu.Unlock()
			return
		}
		j := jobs[0]
		l.lanes[k].jobs = jobs[1:]
		l.mu.Unlock()
		l.finish(ctx, j, slots)
		l.release(j.delivery.Key)
		if ctx.Err() != nil {
			return
		}
	}
}

// finish tries a delivery until it is worked off, or put away.
func (l *Liaison) finish(ctx context.Context, j job, slots chan struct{}) {
	key := j.delivery.Key
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		row, note, err := l.try(ctx, j)
		<-slots
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			l.Log.Info("delivery", "delivery", key, "event", string(j.event.Kind), "repo", j.event.Name, "action", string(row.Action), "note", note)
			l.record(key, l.Inbox.Done(ctx, key, row.Action, note))
			return
		}
		var broken *brokenError
		if errors.As(err, &broken) || l.Now().Sub(j.delivery.Received) > patience {
			l.record(key, l.Inbox.Failed(ctx, key, err.Error()))
			return
		}
		l.Log.Warn("a delivery is tried again", "delivery", key, "event", string(j.event.Kind), "repo", j.event.Name, "in", pause, "err", err)
		l.record(key, l.Inbox.Postpone(ctx, key, err.Error()))
		if !l.rest(ctx, pause, err) {
			return
		}
		if more, err := l.Inbox.Begin(ctx, key); err != nil || !more {
			l.record(key, err)
			return
		}
	}
}

// record logs that the inbox could not be written. The delivery is there still, and
// is taken up again.
func (l *Liaison) record(key string, err error) {
	if err != nil {
		l.Log.Error("what became of a delivery is not recorded", "delivery", key, "err", err)
	}
}

// rest waits before the next try: as long as a forge asks for, if it does. It is
// false if ctx ends first.
func (l *Liaison) rest(ctx context.Context, pause time.Duration, why error) bool {
	var limit *forge.LimitError
	if errors.As(why, &limit) {
		pause = max(pause, limit.Until.Sub(l.Now()))
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// A brokenError is a delivery that broke us.
type brokenError struct{ panicked any }

func (e *brokenError) Error() string { return fmt.Sprintf("internal error: %v", e.panicked) }

// try does once what the table says about an event.
func (l *Liaison) try(ctx context.Context, j job) (row hooks.Row, note string, err error) {
	defer func() {
		if p := recover(); p != nil {
			l.Log.Error("a delivery broke", "delivery", j.delivery.Key, "panic", p, "stack", string(debug.Stack()))
			err = &brokenError{p}
		}
	}()
	l.mu.Lock()
	app := l.app
	l.mu.Unlock()
	row = hooks.Decide(j.event, app)
	note, err = l.perform(ctx, j, row.Action)
	return row, note, err
}
