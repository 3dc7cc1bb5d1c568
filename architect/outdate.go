package architect

import (
	"context"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A proposal is a pull request as it is now, for one pipeline of a site.
type proposal struct {
	plan.Trigger
	site   *Site
	name   string      // of the pipeline
	config plan.Commit // by which it is built; "" if its build answered something else first
	branch string      // whose pushes were its earlier heads; "" if those go on
}

// outdates tells the build of an earlier head of the same pull request, or of what it
// was before it was made for another branch, or before that moved. The build of a
// push that answered it, too, is one of these.
func (p proposal) outdates(other *work) bool {
	its := other.b.Trigger
	switch {
	case other.site != p.site || other.b.Name != p.name:
		return false
	case its.Event == plan.EventPush:
		return p.branch != "" && its.Ref == p.branch && its.Commit != p.Commit && its.Request == ""
	case its.Event != plan.EventPullRequest || its.Ref != p.Ref:
		return false
	}
	return its.Commit != p.Commit || its.Target != p.Target || p.config != "" && other.b.Config != p.config
}

// headed is the branch whose pushes become heads of a pull request; "" if there is
// none, or if it is protected: its pushes are for more than the pull request.
func (a *Architect) headed(ctx context.Context, s *Site, t plan.Trigger) string {
	if t.Event != plan.EventPullRequest || !t.Trusted() || t.Head == "" || a.protected(ctx, s, t.Head) {
		return ""
	}
	return t.Head
}

// outdate ends the builds of earlier heads of a pull request that has builds already.
func (a *Architect) outdate(s *Site, r reading, branch string) {
	if r.trigger.Event != plan.EventPullRequest || r.trigger.Parent != "" || len(r.known) == 0 {
		return
	}
	a.mu.Lock()
	defer a.commit()
	for _, k := range r.known {
		a.supersede(k.id, proposal{r.trigger, s, k.name, "", branch}.outdates)
	}
}
