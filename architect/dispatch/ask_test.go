package dispatch_test

import (
	"context"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/dispatch"
)

// A builder that comes back while it is asked gets the offer: an attempt is not
// spent on a connection that breaks.
func TestAssignWaitsForReturn(t *testing.T) {
	r := newRig(t, "b-1")
	hub := r.listen(t, &recorder{})
	answered := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn := r.dial(t, "in process", "b-1", r.keys["b-1"]) // which may take long
	go func() { answered <- hub.Assign(ctx, "b-1", dispatch.Assignment{Attempt: attempt}) }()
	worker := &recorder{}
	r.join(t, conn, "b-1", worker)
	if err := <-answered; err != nil {
		t.Fatalf("Assign = %v; want it to reach the builder that came", err)
	}
	worker.mu.Lock()
	defer worker.mu.Unlock()
	if len(worker.heard) == 0 { // or more than once, if its answer took long
		t.Error("the builder heard of no offer")
	}
}
