package architect_test

import (
	"testing"

	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/architect/grant"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/require"
)

// What a build as a whole may have is what its tasks may have, without what is bound
// to blueprints: nothing for code of strangers and for proposals.
func TestRights(t *testing.T) {
	require.Bubble(t, func(t *testing.T) {
		g := newRig(t, twoStages(), func(dispatch.Assignment, func() string) dispatch.Result { return dispatch.Result{} })
		push := plan.Trigger{Event: plan.EventPush, Ref: "refs/heads/main"}
		for name, tt := range map[string]struct {
			change func(*plan.Trigger)
			bound  grant.Binding
			want   bool
		}{
			"push":         {func(*plan.Trigger) {}, grant.Binding{Name: "x"}, true},
			"other branch": {func(t *plan.Trigger) { t.Ref = "refs/heads/topic" }, grant.Binding{Name: "x"}, false},
			"bound":        {func(*plan.Trigger) {}, grant.Binding{Name: "x", Blueprints: []string{"deploy"}}, false},
			"pull request": {func(t *plan.Trigger) { t.Event = plan.EventPullRequest; t.Trust = plan.TrustWriter }, grant.Binding{Name: "x"}, false},
			"fork":         {func(t *plan.Trigger) { t.Trust = plan.TrustFork }, grant.Binding{Name: "x"}, false},
			"stranger":     {func(t *plan.Trigger) { t.Trust = plan.TrustStranger }, grant.Binding{Name: "x"}, false},
		} {
			trigger := push
			tt.change(&trigger)
			if err := g.a.Rights(t.Context(), g.site, trigger).Secret(tt.bound); (err == nil) != tt.want {
				t.Errorf("%s: %v", name, err)
			}
		}
		g.run() // so that the bubble ends as it does for others
	})
}
