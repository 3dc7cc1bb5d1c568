package architect_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/dispatch"
)

// While the wire is broken nobody is lost, and after it builders have time to come
// back. Who does not is lost then.
func TestBrokenWireLosesNobody(t *testing.T) {
	g := newRig(t, twoStages(), nil)
	deaf := true
	g.a.Deaf = func() bool { return deaf }
	if err := g.a.Open(t.Context(), g.site); err != nil {
		t.Fatal(err)
	}
	g.here()
	g.advance(time.Hour)
	g.a.Overdue()
	if members := g.a.Members(); len(members) != 1 {
		t.Fatalf("deaf for an hour: the members are %v; want one", members)
	}
	deaf = false
	g.advance(dispatch.BackWithin - time.Second)
	g.a.Overdue()
	if members := g.a.Members(); len(members) != 1 {
		t.Fatalf("soon after the break: the members are %v; want one", members)
	}
	g.here()
	g.advance(dispatch.LostAfter - time.Second)
	g.a.Overdue()
	if members := g.a.Members(); len(members) != 1 {
		t.Fatalf("heard after the break: the members are %v; want one", members)
	}
	g.advance(2 * time.Second)
	g.a.Overdue()
	if members := g.a.Members(); len(members) != 0 {
		t.Errorf("silent after it was heard again: the members are %v; want none", members)
	}
}

// What an attempt is stays with its builder while the wire is broken, and is
// somebody else's if that builder does not come back.
func TestBrokenWireKeepsAttempts(t *testing.T) {
	begun := make(chan int, 10)
	g := newRig(t, twoStages(), func(a dispatch.Assignment, _ func() string) dispatch.Result {
		begun <- a.Attempt.Number
		return dispatch.Result{} // never sent
	})
	var deaf atomic.Bool
	g.a.Deaf = deaf.Load
	g.run()
	g.here()
	g.site.Look()
	if n := <-begun; n != 1 {
		t.Fatalf("attempt %d has begun; want the first", n)
	}
	deaf.Store(true)
	g.advance(time.Hour)
	g.a.Overdue()
	deaf.Store(false)
	g.advance(dispatch.BackWithin - time.Second)
	g.a.Overdue()
	if m := g.a.Members()["b"]; m.Busy == 0 {
		t.Errorf("after the break the builder is %+v; want it to have its attempt", m)
	}
	g.advance(2 * time.Second)
	g.a.Overdue()
	if m, here := g.a.Members()["b"]; here {
		t.Errorf("the builder that did not come back is %+v; want it lost", m)
	}
}
