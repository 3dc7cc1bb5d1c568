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
	go func() { answered <- hub.Assign(ctx, "b-1", dispatch.Assignment{Attempt: attempt}) }()
	worker := &recorder{}
	r.join(t, r.dial(t, "in process", "b-1", r.keys["b-1"]), "b-1", worker)
	if err := <-answered; err != nil {
		t.Fatalf("Assign = %v; want it to reach the builder that came", err)
	}
	if len(worker.heard) != 1 {
		t.Errorf("the builder heard %v; want one offer", worker.heard)
	}
}
