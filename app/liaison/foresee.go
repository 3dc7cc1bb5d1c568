package liaison

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/velocity-ci/velocity/hooks"
)

// A foresight is a fetch for a delivery that is not recorded yet.
type foresight struct {
	delivery hooks.Delivery
	done     chan struct{} // closed when it is over, and err is set
	err      error         // errUnforeseen, or why the fetch failed
}

// errUnforeseen means that a delivery needs no fetch, or one at another time.
var errUnforeseen = errors.New("not fetched ahead")

// Foresee begins the fetch that a delivery of a push will need, while the delivery is
// still being recorded; what comes of the push waits until it is. The sender must
// have been proven, and the delivery be new: repeats are not to cost the forge
// anything. If it is not recorded after all, Forget has to be called. Foresee does not
// wait, and begins nothing while as much as there may be is on its way.
func (l *Liaison) Foresee(d hooks.Delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.coming) >= abreast {
		return
	}
	f := &foresight{delivery: d, done: make(chan struct{})}
	select {
	case l.ahead <- f:
		l.coming[d.Key] = f
	default: // it is fetched when its turn comes
	}
}

// Forget says that a delivery was not recorded.
func (l *Liaison) Forget(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.coming, key)
}

// foreseen reports whether the mirror was fetched after a delivery was sent, and
// another fetch would tell no more of its ref as far as we know. It waits for a fetch
// that is under way, and tells of each once: who tries again fetches again.
func (l *Liaison) foreseen(ctx context.Context, j job) (bool, error) {
	l.mu.Lock()
	f := l.coming[j.delivery.Key]
	delete(l.coming, j.delivery.Key)
	older := slices.ContainsFunc(l.lanes[j.at()], func(next job) bool {
		return next.event.Kind == j.event.Kind && next.event.Ref == j.event.Ref
	})
	l.mu.Unlock()
	if f == nil || older {
		return false, nil
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	if errors.Is(f.err, errUnforeseen) {
		return false, nil
	}
	return f.err == nil, f.err
}

// lookAhead fetches what deliveries will need, until ctx ends.
func (l *Liaison) lookAhead(ctx context.Context) {
	group, ctx := errgroup.WithContext(ctx)
	for {
		select {
		case f := <-l.ahead:
			group.Go(func() error {
				defer close(f.done)
				f.err = l.guard(func() error { return l.fetchAhead(ctx, f.delivery) }, "delivery", f.delivery.Key)
				f.delivery.Body = nil // it may wait for long
				return nil
			})
		case <-ctx.Done():
			_ = group.Wait() // fetches have no errors here
			return
		}
	}
}

// fetchAhead fetches for a push to a repository that is built here. Where deliveries
// wait already this one would be late, and a later fetch tells more.
func (l *Liaison) fetchAhead(ctx context.Context, d hooks.Delivery) error {
	e, err := l.decode(d)
	if err != nil {
		return err
	}
	j := job{delivery: d, event: e}
	l.mu.Lock()
	app, others := l.app, len(l.lanes[j.at()])
	l.mu.Unlock()
	if hooks.Decide(e, app).Action != hooks.Build || e.Repository == 0 || others > 0 {
		return errUnforeseen
	}
	p, ok, err := l.onRecord(ctx, j.at(), e)
	if err != nil {
		return err
	}
	if !ok || p.forge == nil {
		return errUnforeseen
	}
	return p.Refresh(ctx, p.repo, nil)
}
