package architect_test

import (
	"slices"
	"testing"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// Which triggers one build answers, in the order in which they come.
func TestOneBuildForEqualTriggers(t *testing.T) {
	const topic, main = "refs/heads/topic", "refs/heads/main"
	push := plan.Trigger{Event: plan.EventPush, Ref: topic, Commit: second}
	pull := plan.Trigger{Event: plan.EventPullRequest, Ref: "refs/pull/1/head", Target: main, Head: topic, Commit: second, Trust: plan.TrustWriter}
	with := func(t plan.Trigger, change func(*plan.Trigger)) plan.Trigger { change(&t); return t }
	fork := with(pull, func(t *plan.Trigger) { t.Head, t.Trust = "", plan.TrustFork })
	stranger := with(pull, func(t *plan.Trigger) { t.Trust = plan.TrustStranger })
	group := plan.Trigger{Event: plan.EventMergeGroup, Ref: "refs/heads/gh-readonly-queue/main/pr-1", Target: main, Commit: second, Trust: plan.TrustWriter}
	for name, c := range map[string]struct {
		first, second plan.Trigger
		one           bool
	}{
		"push twice":                  {push, push, true},
		"push, then its request":      {push, pull, true},
		"request, then its push":      {pull, push, true},
		"request twice":               {pull, pull, true},
		"request of another branch":   {push, with(pull, func(t *plan.Trigger) { t.Head = main }), false},
		"request of nobody knows":     {push, with(pull, func(t *plan.Trigger) { t.Head = "" }), false},
		"push elsewhere":              {pull, with(push, func(t *plan.Trigger) { t.Ref = main }), false},
		"retargeted":                  {pull, with(pull, func(t *plan.Trigger) { t.Target = "refs/heads/old" }), false},
		"fork, then a push":           {fork, push, false},
		"push, then a fork":           {push, fork, false},
		"fork that says its branch":   {push, with(fork, func(t *plan.Trigger) { t.Head = topic }), false},
		"fork twice":                  {fork, fork, true},
		"stranger, then a push":       {stranger, push, false},
		"push, then a stranger":       {push, stranger, false},
		"stranger turns out a friend": {stranger, pull, false},
		"friend, not asked again":     {pull, stranger, true},
		"group, then its push":        {group, with(push, func(t *plan.Trigger) { t.Ref = group.Ref }), true},
		"push, then its group":        {with(push, func(t *plan.Trigger) { t.Ref = group.Ref }), group, true},
		"group and request":           {pull, group, false},
		"protected push is its own":   {with(pull, func(t *plan.Trigger) { t.Head = "refs/heads/release" }), with(push, func(t *plan.Trigger) { t.Ref = "refs/heads/release" }), false},
		"protected push for request":  {with(push, func(t *plan.Trigger) { t.Ref = "refs/heads/release" }), with(pull, func(t *plan.Trigger) { t.Head = "refs/heads/release" }), true},
		"started by hand":             {push, with(push, func(t *plan.Trigger) { t.Request = "r" }), false},
	} {
		for _, finished := range []bool{false, true} {
			g := newRig(t, twoStages(), succeed)
			g.site.Protected = []string{"release"}
			g.commits(topic, second, head, twoStages())
			g.repo.tips["refs/heads/old"] = head
			g.run()
			c.first.ID, c.second.ID = "first", "second"
			first := g.ask(c.first)
			if finished {
				g.here()
				if b, ok := g.a.Await(t.Context(), first[0]); ok {
					state, _, _ := b.State()
					b.Close()
					if !state.AwaitsApproval() {
						g.final()
					}
				}
			}
			if second := g.ask(c.second); slices.Equal(first, second) != c.one {
				t.Errorf("%s (finished %v): builds %v, then %v; want one %v", name, finished, first, second, c.one)
			}
		}
	}
}

// A stranger's request is planned by a branch that moves on: then it is another.
func TestForkAfterItsTargetMoved(t *testing.T) {
	g, pr := forked(t, succeed)
	g.run()
	g.here()
	older := g.one(pr)
	g.repo.mu.Lock()
	g.repo.tips["refs/heads/main"] = third
	g.repo.mu.Unlock()
	pr.ID = "later"
	newer := g.one(pr)
	if b := g.final(); b.ID != older.ID || newer.ID == older.ID || newer.Config != third || !newer.AwaitsApproval() {
		t.Errorf("build %s ended, and %s is by %s, held %v", b.ID, newer.ID, newer.Config, newer.AwaitsApproval())
	}
}

// A configuration with errors is told once.
func TestBrokenConfigurationIsOneBuild(t *testing.T) {
	g := newRig(t, files{".velocityci/pipelines/default.yml": "stages: 7\n"}, succeed)
	g.run()
	first := g.ask(plan.Trigger{ID: "a", Event: plan.EventPush, Ref: "refs/heads/main", Commit: head})
	g.final()
	if second := g.ask(plan.Trigger{ID: "b", Event: plan.EventPush, Ref: "refs/heads/main", Commit: head}); !slices.Equal(first, second) {
		t.Errorf("builds %v, then %v", first, second)
	}
}

// What is closed ends the builds that it covers and no others, also those that
// were not planned yet.
func TestClosing(t *testing.T) {
	pull := plan.Trigger{ID: "pr", Event: plan.EventPullRequest, Ref: "refs/pull/1/head", Target: "refs/heads/main", Commit: second}
	other := pull
	other.ID, other.Ref = "other", "refs/pull/2/head"
	pushed := plan.Trigger{ID: "push", Event: plan.EventPush, Ref: "refs/heads/main", Commit: head}
	all := []plan.Trigger{pull, other, pushed}
	for name, c := range map[string]struct {
		closing architect.Closing
		ends    []string
	}{
		"pull request": {architect.Closing{Event: plan.EventPullRequest, Ref: pull.Ref}, []string{"pr"}},
		"its head":     {architect.Closing{Event: plan.EventPullRequest, Ref: pull.Ref, Commit: second}, []string{"pr"}},
		"another head": {architect.Closing{Event: plan.EventPullRequest, Ref: pull.Ref, Commit: third}, nil},
		"a ref":        {architect.Closing{Event: plan.EventPush, Ref: "refs/heads/main"}, []string{"push"}},
		"everything":   {architect.Closing{}, []string{"other", "pr", "push"}},
	} {
		g, _ := forked(t, succeed) // nobody is here to build
		g.run()
		if err := g.ledger.Accept(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		g.site.Wake()
		ids, err := g.a.CancelWhere(t.Context(), g.site, c.closing, "closed")
		if err != nil || len(ids) != len(c.ends) {
			t.Fatalf("%s: CancelWhere = %v, %v; want those of %v", name, ids, err, c.ends)
		}
		var ended []string
		for range ids {
			b := g.final()
			ended = append(ended, b.Trigger.ID)
			if b.State() != build.Failed || b.Reason() != "closed" {
				t.Errorf("%s: build of %s %s, %q", name, b.Trigger.ID, b.State(), b.Reason())
			}
		}
		if slices.Sort(ended); !slices.Equal(ended, c.ends) {
			t.Errorf("%s: the builds of %v ended; want %v", name, ended, c.ends)
		}
	}
}

// A queue's group is built whatever the message of its commit says, by its own
// configuration, as a pull request of a writer is.
func TestMergeGroup(t *testing.T) {
	g := newRig(t, twoStages(), succeed)
	g.repo.message = "merge [skip ci]"
	const ref = "refs/heads/gh-readonly-queue/main/pr-1"
	g.commits(ref, second, head, withFile(twoStages(), ".velocityci/pipelines/default.yml", "on:\n  pull_request: {branches: [main]}\nstages: [{name: own, blueprints: [a]}]\n"))
	g.run()
	g.here()
	group := plan.Trigger{ID: "group", Event: plan.EventMergeGroup, Ref: ref, Target: "refs/heads/main", Commit: second, Trust: plan.TrustWriter}
	g.submit(group)
	if b := g.final(); b.State() != build.Succeeded || b.Config != second || b.Counts().String() != "1/1" {
		t.Errorf("the group %s, %q, %s by %s", b.State(), b.Reason(), b.Counts(), b.Config)
	}
	group.ID, group.Target = "other", "refs/heads/old"
	if ids := g.ask(group); len(ids) != 0 {
		t.Errorf("a group for another branch has the builds %v", ids)
	}
}

// What was ended because its pull request was closed is built when that is opened
// again; what a person canceled is not.
func TestWhatIsBackIsBuilt(t *testing.T) {
	for reason, want := range map[string]int{build.ReasonClosed: 2, build.ReasonSuperseded + "k3f9a2-9": 2, "canceled": 1} {
		g := newRig(t, twoStages(), succeed)
		g.run()
		pull := plan.Trigger{ID: "first", Event: plan.EventPullRequest, Ref: "refs/pull/1/head", Target: "refs/heads/main", Commit: head, Trust: plan.TrustWriter}
		builds := g.ask(pull)
		if _, err := g.a.CancelWhere(t.Context(), g.site, architect.Closing{Ref: pull.Ref}, reason); err != nil {
			t.Fatal(err)
		}
		pull.ID = "again"
		builds = append(builds, g.ask(pull)...)
		slices.SortFunc(builds, func(a, b build.ID) int { return int(a.Number - b.Number) })
		if got := len(slices.Compact(builds)); got != want {
			t.Errorf("after one that was %s: %d builds; want %d", reason, got, want)
		}
	}
}
