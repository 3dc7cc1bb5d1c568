package architect_test

import (
	"fmt"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// ranked is a configuration with a pipeline for each of two kinds of branches.
func ranked(slow, fast int) files {
	pipeline := func(branches string, priority int) string {
		return fmt.Sprintf("on: {push: {branches: [%q]}}\npriority: %d\nstages: [{name: s, blueprints: [a]}]\n", branches, priority)
	}
	return files{
		".velocityci/blueprints/a.yml":   "steps: [{type: run, command: x}]",
		".velocityci/pipelines/slow.yml": pipeline("slow/**", slow),
		".velocityci/pipelines/fast.yml": pipeline("fast/**", fast),
		".velocityci/pipelines/main.yml": pipeline("main", 0),
	}
}

func commitOf(digit string) plan.Commit { return plan.Commit(strings.Repeat(digit, 40)) }

// What a branch says of its own priority is not heard; what the default branch
// says is, from its next push on, and for builds of an earlier process, too.
func TestPriorityIsTheDefaultBranchs(t *testing.T) {
	for name, test := range map[string]struct {
		trunk []files // pushed one after the other, the last one before the others are
		want  []string
	}{
		"the default branch has none":     {[]files{ranked(0, 0)}, []string{"slow", "fast"}},
		"the default branch says fast":    {[]files{ranked(0, 5)}, []string{"fast", "slow"}},
		"the default branch said fast":    {[]files{ranked(0, 5), ranked(0, 0)}, []string{"slow", "fast"}},
		"the default branch says slow":    {[]files{ranked(0, 0), ranked(10, 0)}, []string{"slow", "fast"}},
		"the default branch has mistakes": {[]files{{".velocityci/pipelines/fast.yml": "priority: 99"}}, []string{"slow", "fast"}},
	} {
		for _, restarted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restarted %v", name, restarted), func(t *testing.T) {
				got := orderOf(t, test.trunk, restarted)
				if diff := gocmp.Diff(test.want, got); diff != "" {
					t.Errorf("order (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// orderOf pushes the default branch, then slow and fast, each of which says 10 of
// itself, and returns the order in which a builder of one slot gets their tasks.
func orderOf(t *testing.T, trunk []files, restarted bool) (order []string) {
	play := func(a dispatch.Assignment, _ func() string) dispatch.Result {
		if kind, _, ok := strings.Cut(plan.Branch(a.Ref), "/"); ok {
			order = append(order, kind)
		}
		return dispatch.Result{Verdict: dispatch.Succeeded}
	}
	g := newRig(t, nil, play)
	g.run()
	push := func(branch, digit string, config files) {
		t.Helper()
		g.repo.mu.Lock()
		g.repo.commits[commitOf(digit)] = config
		g.repo.mu.Unlock()
		g.submit(plan.Trigger{ID: digit, Event: plan.EventPush, Ref: plan.BranchPrefix + branch, Commit: commitOf(digit)})
		if _, ok, err := g.a.Answered(t.Context(), g.site, digit); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	for i, config := range trunk {
		push("main", fmt.Sprint(i+2), config)
	}
	push("slow/x", "a", ranked(10, 0))
	push("fast/x", "b", ranked(0, 10))
	if restarted {
		g = g.successor(play)
	}
	if err := g.wire.Here(t.Context(), dispatch.Presence{Boot: "one", Capacity: 1}); err != nil {
		t.Fatal(err)
	}
	for seen := 0; seen < 2; {
		if b := g.final(); b.Trigger.Ref != "refs/heads/main" {
			seen++
		}
	}
	return order
}

// successor is a rig whose architect goes on with what g's, which has no builder,
// left in its ledger.
func (g *rig) successor(play script) *rig {
	next := newRig(g.t, nil, play)
	g.tell(next.a.Folded)
	next.ledger, next.repo = g.ledger, g.repo
	next.site.Ledger, next.site.Inbox, next.site.History, next.site.Repo = g.ledger, g.ledger, history{g.ledger}, g.repo
	next.run()
	return next
}
