package liaison

import (
	"context"
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
)

// A job is a delivery in hand, without its body.
type job struct {
	delivery hooks.Delivery
	event    hooks.Event
}

// at is the repository that the delivery is about; its number is 0 if it is about
// none.
func (j job) at() forge.Key {
	return forge.Key{Kind: forge.Kind(j.delivery.Forge), ID: j.event.Repository}
}

// work puts deliveries into lanes, one for each repository, and has these worked off
// beside each other. In a lane one comes after the other, in the order in which they
// were received.
func (l *Liaison) work(ctx context.Context) {
	group, ctx := errgroup.WithContext(ctx)
	slots := make(chan struct{}, abreast)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		err := l.sortOut(ctx, func(k forge.Key) {
			group.Go(func() error { l.drain(ctx, k, slots); return nil })
		})
		if err != nil && ctx.Err() == nil {
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

// sortOut puts what waits in the inbox into lanes, and has new lanes drained. What
// cannot be read stays where it is, and holds up nothing.
func (l *Liaison) sortOut(ctx context.Context, drain func(forge.Key)) error {
	keys, err := l.Inbox.Waiting(ctx)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !l.take(key) {
			continue
		}
		j, ok, err := l.open(ctx, key)
		if !ok {
			l.release(key)
			l.record(ctx, key, err)
			continue
		}
		if l.enqueue(j) {
			drain(j.at())
		}
	}
	return nil
}

// take takes a delivery in hand, unless it is already.
func (l *Liaison) take(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hand[key] {
		return false
	}
	l.hand[key] = true
	return true
}

func (l *Liaison) release(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.hand, key)
	delete(l.coming, key)
}

// open reads a delivery, and puts it away if it cannot be understood: then, as after
// an error, ok is false.
func (l *Liaison) open(ctx context.Context, key string) (j job, ok bool, err error) {
	if j.delivery, err = l.Inbox.Read(ctx, key); err != nil {
		return j, false, err
	}
	// Decode promises not to panic. One delivery that has it break its promise must
	// not hold up the others.
	err = l.guard(func() (err error) {
		j.event, err = l.decode(j.delivery)
		return err
	}, "delivery", key)
	j.delivery.Body = nil // many may wait
	if err != nil {
		l.Log.Warn("a delivery cannot be understood", "delivery", key, "event", j.delivery.Event, "err", err)
		return j, false, l.Inbox.Failed(ctx, key, err.Error())
	}
	return j, true, nil
}

// enqueue puts a job at the end of its lane. It reports whether the lane is a new
// one, which nobody drains yet.
func (l *Liaison) enqueue(j job) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	jobs, there := l.lanes[j.at()]
	l.lanes[j.at()] = append(jobs, j)
	return !there
}

// next takes the first job from a lane. A lane without jobs is no more.
func (l *Liaison) next(k forge.Key) (j job, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	jobs := l.lanes[k]
	if len(jobs) == 0 {
		delete(l.lanes, k)
		return j, false
	}
	l.lanes[k] = jobs[1:]
	return jobs[0], true
}

// drain works off a lane until it is empty.
func (l *Liaison) drain(ctx context.Context, k forge.Key, slots chan struct{}) {
	for ctx.Err() == nil {
		j, ok := l.next(k)
		if !ok {
			return
		}
		l.finish(ctx, j, slots)
		l.release(j.delivery.Key)
	}
}

// turn waits until nobody else deals with a repository: what a comparison finds and
// what a delivery says must not overtake each other. It ends with a call of done.
func (l *Liaison) turn(ctx context.Context, key forge.Key) (done func(), err error) {
	l.mu.Lock()
	turn := l.turns[key]
	if turn == nil {
		turn = make(chan struct{}, 1)
		l.turns[key] = turn
	}
	l.mu.Unlock()
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
