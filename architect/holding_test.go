package architect

import (
	"context"
	"log/slog"
	"testing"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// headed is a repository that has a default branch and nothing else.
type headed struct{ Repository }

func (headed) Head(context.Context) (string, error) { return "refs/heads/main", nil }

// Only protected refs leave caches, and what may be a stranger's does
// not even read them.
func TestWhoMayKeepCaches(t *testing.T) {
	a := New(nil, slog.New(slog.DiscardHandler), nil)
	for _, tt := range []struct {
		event plan.Event
		ref   string
		class dispatch.CacheClass
		write bool
	}{
		{plan.EventPush, "refs/heads/main", dispatch.TrustedCaches, true},
		{plan.EventPush, "refs/heads/side", dispatch.TrustedCaches, false},
		{plan.EventPush, "refs/heads/main/x", dispatch.TrustedCaches, false},
		{plan.EventPush, "refs/tags/v1", dispatch.TrustedCaches, false},
		{plan.EventPush, "refs/heads/release/1", dispatch.TrustedCaches, true},
		{plan.EventPush, "", dispatch.TrustedCaches, false},
		{plan.EventSchedule, "refs/heads/main", dispatch.TrustedCaches, true},
		{plan.EventSchedule, "refs/heads/side", dispatch.TrustedCaches, false},
		{plan.EventManual, "refs/heads/main", dispatch.TrustedCaches, false},
		{plan.EventPullRequest, "refs/heads/main", "", false},
		{plan.EventPullRequest, "refs/pull/1/head", "", false},
		{plan.EventLocal, "refs/heads/side", dispatch.LocalCaches, true},
		{"unheard of", "refs/heads/main", "", false},
	} {
		w := &work{site: &Site{Repo: headed{}, Protected: []string{"release/*"}}, plan: &plan.Plan{Event: tt.event, Ref: tt.ref}}
		w.b = &build.Build{Request: build.Request{Trigger: plan.Trigger{Event: tt.event, Ref: tt.ref}}}
		if class, write := cachesOf(w.plan, a.rights(t.Context(), w, &plan.Task{})); class != tt.class || write != tt.write {
			t.Errorf("%s of %q: %q, %v; want %q, %v", tt.event, tt.ref, class, write, tt.class, tt.write)
		}
	}
}
