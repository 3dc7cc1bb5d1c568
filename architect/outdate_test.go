package architect_test

import (
	"testing"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A pull request with a newer head ends the build of the older one, also if both are
// known as pushes, and no others.
func TestNewerHeadEndsPush(t *testing.T) {
	const topic = "refs/heads/topic"
	pushed := plan.Trigger{ID: "pushed", Event: plan.EventPush, Ref: topic, Commit: head}
	pull := plan.Trigger{ID: "pull", Event: plan.EventPullRequest, Ref: "refs/pull/1/head", Target: "refs/heads/main", Head: topic, Commit: second, Trust: plan.TrustWriter}
	for name, c := range map[string]struct {
		protected bool
		change    func(old, pull *plan.Trigger)
		told      bool // the newer push comes before the pull request
		ends      bool
	}{
		"push, then its pull request": {told: true, ends: true},
		"pull request alone":          {ends: true},
		"protected":                   {told: true, protected: true},
		"another branch":              {told: true, change: func(old, _ *plan.Trigger) { old.Ref = "refs/heads/other" }},
		"a stranger's":                {change: func(_, p *plan.Trigger) { p.Trust = plan.TrustStranger }},
		"started by hand":             {told: true, change: func(old, _ *plan.Trigger) { old.Request = "r" }},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, twoStages(), succeed) // nobody is here to build
			if c.protected {
				g.site.Protected = []string{"topic"}
			}
			g.commits(topic, second, head, twoStages())
			g.run()
			old, now := pushed, pull
			if c.change != nil {
				c.change(&old, &now)
			}
			first := g.one(old)
			if c.told {
				g.ask(plan.Trigger{ID: "newer", Event: plan.EventPush, Ref: topic, Commit: second})
			}
			ids := g.ask(now)
			if c.ends {
				if b := g.final(); b.ID != first.ID || b.Reason() != "superseded by "+ids[0].String() {
					t.Errorf("build %s ended, %q; want %s to be superseded", b.ID, b.Reason(), first.ID)
				}
				return
			}
			v, ok := g.a.Await(t.Context(), first.ID)
			if !ok {
				t.Fatal("the older build is over")
			}
			defer v.Close()
			if b, _, _ := v.State(); b.Canceled != "" || b.State().Final() {
				t.Errorf("the older build %s: %s; want it to go on beside %v", b.State(), b.Canceled, ids)
			}
		})
	}
}
