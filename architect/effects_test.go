package architect_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/memory"
)

// slow is a ledger that says that something is durable when the gate, if there is
// one, is open.
type slow struct {
	*memory.Ledger
	gate *atomic.Pointer[chan struct{}]
}

func (s slow) Append(c build.Change, done func(error)) {
	s.Ledger.Append(c, func(err error) {
		if gate := s.gate.Load(); gate != nil {
			<-*gate
		}
		done(err)
	})
}

// A builder begins what has effects once it hears that this is known. That must be
// in git by then, also if it is told a second time.
func TestEffectsAreDurableWhenAnswered(t *testing.T) {
	for _, effects := range []bool{true, false} {
		started := make(chan dispatch.Attempt, 1)
		g := newRig(t, twoStages(), func(a dispatch.Assignment, wait func() string) dispatch.Result {
			started <- a.Attempt
			return dispatch.Result{Verdict: dispatch.Failed, Reason: wait()}
		})
		gate := &atomic.Pointer[chan struct{}]{}
		g.site.Ledger = slow{g.ledger, gate}
		g.run()
		g.here()
		v := g.start(onePlan(plan.Task{Name: "deploy", Effects: effects}))
		at := <-started
		until(t, v, func(b *build.Build) bool { return b.Stages[0].Tasks[0].State == build.Building })

		closed := make(chan struct{})
		gate.Store(&closed)
		p := dispatch.Progress{Attempt: at, Steps: []build.Step{{State: build.Succeeded}, {State: build.Building}}}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for range 2 {
			if err := g.a.Step(gone, "b", p); errors.Is(err, context.Canceled) != effects {
				t.Errorf("effects %v: before it is durable, Step = %v", effects, err)
			}
		}
		close(closed)
		if err := g.a.Step(t.Context(), "b", p); err != nil {
			t.Errorf("effects %v: Step = %v", effects, err)
		}
		if err := g.a.Cancel(t.Context(), at.Build, "canceled"); err != nil {
			t.Fatal(err)
		}
		g.final()
	}
}
