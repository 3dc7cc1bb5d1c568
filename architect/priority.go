package architect

import (
	"context"

	"github.com/velocity-ci/velocity/blueprint"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A trunk is what is remembered of the default branch's configuration.
type trunk struct {
	commit     plan.Commit
	priorities map[string]int // by pipeline
}

// urgent are the priorities of the pipelines as the default branch has them: who
// may push any other branch must not be able to push ahead of everybody. config is
// the configuration at t's commit, which is the default branch's when t is a push
// of that. A default branch that cannot be read gives none.
func (a *Architect) urgent(ctx context.Context, s *Site, t plan.Trigger, config *blueprint.Config) map[string]int {
	head, err := s.Repo.Head(ctx)
	if err != nil {
		a.Logger.Warn("default branch not found: no pipeline has a priority", "repo", s.Name, "err", err)
		return nil
	}
	if movesTip(t) && t.Ref == head {
		s.trunk = trunk{commit: t.Commit, priorities: config.Priorities()}
		return s.trunk.priorities
	}
	commit := s.tips[head]
	if commit == s.trunk.commit {
		return s.trunk.priorities
	}
	s.trunk = trunk{commit: commit}
	tree, _, err := s.Repo.Tree(ctx, commit)
	if err != nil {
		a.Logger.Warn("default branch not read: no pipeline has a priority", "repo", s.Name, "commit", string(commit), "err", err)
		return nil
	}
	found, _, err := blueprint.Load(tree)
	if err != nil {
		a.Logger.Warn("default branch not read: no pipeline has a priority", "repo", s.Name, "commit", string(commit), "err", err)
		return nil
	}
	s.trunk.priorities = found.Priorities()
	return s.trunk.priorities
}
