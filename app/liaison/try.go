package liaison

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/hooks"
)

const (
	firstPause = time.Second
	longPause  = time.Minute
	// patience is how long a delivery is tried whose forge or repository fails. After
	// that long a comparison has found out what it was about.
	patience = 24 * time.Hour
	// lagging is how long a delivery is tried whose commit git does not show. It holds
	// up the others of its repository, and is the last to know if there is a newer one.
	lagging = 10 * time.Minute
)

// finish tries a delivery until it is worked off, or put away.
func (l *Liaison) finish(ctx context.Context, j job, slots chan struct{}) {
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		again := l.attempt(ctx, j)
		<-slots
		if again == nil || !l.rest(ctx, pause, again) {
			return
		}
	}
}

// attempt tries a delivery once. It returns why there is to be another try, nil if
// there is to be none.
func (l *Liaison) attempt(ctx context.Context, j job) (again error) {
	key := j.delivery.Key
	// Only now: what waits is not to be put away for what another one did to us.
	if more, err := l.Inbox.Begin(ctx, key); err != nil || !more {
		l.record(ctx, key, err)
		return nil
	}
	row, note, err := l.try(ctx, j)
	if ctx.Err() != nil {
		return ctx.Err() // the inbox gives it back
	}
	log := l.Log.With("delivery", key, "event", string(j.event.Kind), "repo", j.event.Name, "action", string(row.Action))
	switch {
	case err == nil:
		log.Info("delivery", "note", note)
		l.record(ctx, key, l.Inbox.Done(ctx, key, row.Action, note))
		return nil
	case l.hopeless(j, err):
		log.Error("a delivery is put away", "err", err)
		l.record(ctx, key, l.Inbox.Failed(ctx, key, err.Error()))
		return nil
	}
	log.Warn("a delivery is tried again", "err", err)
	l.record(ctx, key, l.Inbox.Postpone(ctx, key, err.Error()))
	return err
}

// try does what the table says about an event.
func (l *Liaison) try(ctx context.Context, j job) (row hooks.Row, note string, err error) {
	l.mu.Lock()
	app := l.app
	l.mu.Unlock()
	row = hooks.Decide(j.event, app)
	if row.Action == hooks.Drop {
		return row, cmp.Or(j.event.Note, row.Text), nil
	}
	err = l.guard(func() (err error) {
		note, err = l.perform(ctx, j, row.Action)
		return err
	}, "delivery", j.delivery.Key)
	return row, note, err
}

// hopeless reports whether trying again is of no use, or was for too long. What the
// forge does not permit is not tried either: it tells us when permissions change, and
// everything is compared then.
func (l *Liaison) hopeless(j job, err error) bool {
	var broken *brokenError
	age := l.Now().Sub(j.delivery.Received)
	switch {
	case errors.As(err, &broken), errors.Is(err, forge.ErrForbidden), errors.Is(err, forge.ErrInvalid):
		return true
	case errors.Is(err, errLag):
		return age > lagging
	}
	return age > patience
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

// record logs that the inbox could not be read or written. The delivery is there
// still, and is taken up again.
func (l *Liaison) record(ctx context.Context, key string, err error) {
	if err != nil && ctx.Err() == nil {
		l.Log.Error("the inbox fails for a delivery", "delivery", key, "err", err)
	}
}

// A brokenError is something that broke us.
type brokenError struct{ panicked any }

func (e *brokenError) Error() string { return fmt.Sprintf("internal error: %v", e.panicked) }

// guard turns a panic into a *brokenError, and logs it with what it is about: what
// one delivery or repository does to us must not end the server.
func (l *Liaison) guard(do func() error, about ...any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			l.Log.Error("internal error", append(about, "panic", p, "stack", string(debug.Stack()))...)
			err = &brokenError{p}
		}
	}()
	return do()
}
