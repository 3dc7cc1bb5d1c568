package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
)

// The pace of publishing in the background.
const (
	publishSettle = 10 * time.Second // from a fold to its publishing, which takes all folds until then
	publishRetry  = 10 * time.Second // after the first failure; doubled with each further one
	publishSlowly = 5 * time.Minute  // at most
	publishWithin = 15 * time.Second // for the last try of a process that ends
)

// A publisher publishes a repository's builds in the background as they are
// folded. Builds never wait for it.
type publisher struct {
	send  func(ctx context.Context) (sent int, err error)
	sleep func(ctx context.Context, d time.Duration) error
	log   *slog.Logger

	due  chan struct{} // capacity 1: something was folded, or may have been before
	said string        // the last failure that was logged
}

// newPublisher is one that is due at once: an earlier process may have left
// something.
func newPublisher(log *slog.Logger, send func(context.Context) (int, error)) *publisher {
	p := &publisher{send: send, sleep: pause, log: log, due: make(chan struct{}, 1)}
	p.folded(build.ID{})
	return p
}

// folded makes it due. It returns at once.
func (p *publisher) folded(build.ID) {
	select {
	case p.due <- struct{}{}:
	default: // it is due already
	}
}

// run publishes until ctx ends.
func (p *publisher) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.due:
		}
		wait := publishSettle
		for failures := 0; ; failures++ {
			if p.sleep(ctx, wait) != nil {
				p.folded(build.ID{}) // for last
				return
			}
			p.settle()
			if p.publish(ctx) {
				break
			}
			wait = min(publishSlowly, publishRetry<<min(failures, 10))
		}
	}
}

// settle forgets what is due: what follows takes it along.
func (p *publisher) settle() {
	select {
	case <-p.due:
	default:
	}
}

// publish reports whether all was sent. A failure is logged when it is another
// one than before.
func (p *publisher) publish(ctx context.Context) bool {
	sent, err := p.send(ctx)
	switch {
	case err == nil:
		if p.said != "" || sent > 0 {
			p.log.Info("published", "refs", sent)
		}
		p.said = ""
		return true
	case ctx.Err() == nil && err.Error() != p.said:
		p.said = err.Error()
		p.log.Warn("cannot publish, trying again", "err", err)
	}
	return false
}

// last publishes what is due when the process ends, once and not for long.
func (p *publisher) last() {
	select {
	case <-p.due:
	default:
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), publishWithin)
	defer cancel()
	if !p.publish(ctx) {
		p.log.Warn("ended with builds that are not published; velocity publish sends them")
	}
}
