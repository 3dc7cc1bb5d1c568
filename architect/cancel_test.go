package architect_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/builder/require"
)

// deaf is a wire that loses the first cancels: nobody answers them.
type deaf struct {
	*dispatch.Direct
	loses atomic.Int32
}

func (d *deaf) Cancel(ctx context.Context, builder string, at dispatch.Attempt, reason string) error {
	if d.loses.Add(-1) >= 0 {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return d.Direct.Cancel(ctx, builder, at, reason)
}

// A cancel reaches a step within 10 s, of which the builder may take 5 to make the
// step end: that is what is left when messages get lost.
func TestCancelReachesItsBuilderInTime(t *testing.T) {
	const inTime = 5 * time.Second
	require.Bubble(t, func(t *testing.T) {
		started := make(chan build.ID, 10)
		stopped := make(chan string, 10)
		g := newRig(t, twoStages(), func(a dispatch.Assignment, wait func() string) dispatch.Result {
			started <- a.Attempt.Build
			reason := wait()
			stopped <- reason
			return dispatch.Result{Verdict: dispatch.Failed, Reason: reason}
		})
		wire := &deaf{Direct: g.wire}
		wire.loses.Store(6) // three times both tasks
		g.a.Wire, g.a.Now = wire, time.Now
		g.run()
		g.here()
		g.site.Look()
		id := <-started
		<-started
		late := time.After(inTime)
		if err := g.a.Cancel(t.Context(), id, "canceled"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			select {
			case <-stopped:
			case <-late:
				t.Fatalf("a step is not told within %s", inTime)
			}
		}
		if b := g.final(); b.Reason() != "canceled" {
			t.Errorf("reason %q; want canceled", b.Reason())
		}
		pause(t.Context(), time.Minute) // by then the lost ones have given up, too
	})
}
