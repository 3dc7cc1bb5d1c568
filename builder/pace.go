package builder

import (
	"cmp"
	"context"
	"time"

	"github.com/velocity-ci/velocity/architect/dispatch"
)

const (
	measure     = 5 * time.Second  // between two looks at how large a workspace is
	sweepEvery  = time.Minute      // between two searches for leftovers
	askFor      = 10 * time.Second // for one answer of the architect
	reportFor   = 24 * time.Hour   // after an attempt's end, before the result is given up if Keep does not say
	partingTime = 5 * time.Second  // for reports once the builder stops, beside Grace
	firstPause  = 50 * time.Millisecond
	longestWait = 5 * time.Second
)

// pace is what tests make faster. The zero value is that of the product.
type pace struct {
	beat    time.Duration
	parting time.Duration
	measure time.Duration
	sweep   time.Duration
	pause   func(ctx context.Context, d time.Duration) error
}

func (p pace) beatEvery() time.Duration { return cmp.Or(p.beat, dispatch.BeatEvery) }

func (p pace) partingTime() time.Duration { return cmp.Or(p.parting, partingTime) }

func (p pace) measureEvery() time.Duration { return cmp.Or(p.measure, measure) }

func (p pace) sweepEvery() time.Duration { return cmp.Or(p.sweep, sweepEvery) }

// backoff returns a function that waits longer from call to call. It fails when
// ctx ends.
func (p pace) backoff() func(ctx context.Context) error {
	pause, next := p.pause, firstPause
	if pause == nil {
		pause = sleep
	}
	return func(ctx context.Context) error {
		d := next
		next = min(2*next, longestWait)
		return pause(ctx, d)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
