package architect_test

import (
	"testing"

	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// An architect that is about to end takes builds in, says what their tasks wait for,
// and gives nothing to a builder that is free.
func TestStopAssigning(t *testing.T) {
	g := newRig(t, twoStages(), func(a dispatch.Assignment, _ func() string) dispatch.Result {
		t.Errorf("%s was assigned", a.Attempt)
		return dispatch.Result{Verdict: dispatch.Succeeded}
	})
	g.run()
	g.here()
	g.a.StopAssigning()
	g.submit(plan.Trigger{ID: "t1", Event: plan.EventPush, Ref: "refs/heads/main", Commit: head})
	answer, ok, err := g.a.Answered(t.Context(), g.site, "t1")
	if err != nil || !ok || len(answer.Builds) != 1 {
		t.Fatalf("Answered = %+v, %t, %v", answer, ok, err)
	}
	g.here()
	why, waits := g.a.Why(answer.Builds[0], "s0t0")
	if !waits || why != "the server is stopping: the next one gives it to a builder" {
		t.Errorf("Why = %q, %t", why, waits)
	}
}
