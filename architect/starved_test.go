package architect_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/require"
)

// However many watch a build, none of them waits for the architect, and so none is
// waited for.
func TestWatchersTakeNoLock(t *testing.T) {
	g := newRig(t, twoStages(), succeed)
	held, let := make(chan struct{}), make(chan struct{})
	var hold atomic.Bool
	g.a.Deaf = func() bool {
		if hold.CompareAndSwap(true, false) {
			close(held)
			<-let
		}
		return false
	}
	g.run()
	v := g.start(onePlan(plan.Task{Name: "a"})) // which no builder is there for
	hold.Store(true)
	go g.a.Overdue()
	<-held
	seen := make(chan bool, 1)
	go func() {
		b, over, _ := v.State()
		seen <- b != nil && !over && !v.Left()
	}()
	select {
	case ok := <-seen:
		if !ok {
			t.Error("the build is over, or nobody's")
		}
	case <-time.After(10 * time.Second):
		t.Error("who watches a build waits for the architect")
	}
	close(let)
}

// An architect that did not get to run for a while could hear nobody, and holds nobody's
// silence against them. From then on it is counted again.
func TestSilenceWhileStarved(t *testing.T) {
	require.Bubble(t, func(t *testing.T) {
		g := newRig(t, twoStages(), succeed)
		g.a.Now = time.Now
		var starve atomic.Bool
		g.a.Deaf = func() bool {
			if starve.CompareAndSwap(true, false) {
				pause(t.Context(), 10*dispatch.LostAfter)
			}
			return false
		}
		g.run()
		g.here()
		pause(t.Context(), dispatch.BeatEvery+time.Second/2)
		starve.Store(true)
		pause(t.Context(), 10*dispatch.LostAfter+dispatch.BeatEvery)
		if m := g.a.Members(); len(m) != 1 {
			t.Errorf("after a pause the members are %v; want one", m)
		}
		pause(t.Context(), dispatch.LostAfter)
		if m := g.a.Members(); len(m) != 0 {
			t.Errorf("silent after the pause, the members are %v; want none", m)
		}
	})
}

// A builder of the architect's own process is lost only once it is there no more.
func TestOwnBuilderIsNotLost(t *testing.T) {
	g := newRig(t, twoStages(), succeed)
	var inside atomic.Bool
	inside.Store(true)
	g.a.Within = func(builder string) bool { return builder == "b" && inside.Load() }
	if err := g.a.Open(t.Context(), g.site); err != nil {
		t.Fatal(err)
	}
	g.here()
	g.advance(time.Hour)
	g.a.Overdue()
	if m := g.a.Members(); len(m) != 1 {
		t.Errorf("silent for an hour, the members are %v; want one", m)
	}
	inside.Store(false)
	g.a.Overdue()
	if m := g.a.Members(); len(m) != 0 {
		t.Errorf("the members are %v; want none", m)
	}
}
