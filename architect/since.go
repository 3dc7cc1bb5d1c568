package architect

import (
	"context"
	"fmt"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// lookBack bounds how many ancestors are asked for a green build. A branch that
// was red for longer is built as a whole.
const lookBack = 500

// A since answers for one pipeline and one trigger what has changed. It finds out
// what to compare with when it is first asked: most plans never do. Only the
// goroutine that draws uses it.
type since struct {
	ctx      context.Context
	site     *Site
	trigger  plan.Trigger // with the commit that is built
	pipeline string

	found bool
	base  plan.Commit // "" when there is nothing to compare with
	err   error
}

// since begins to compare for a pipeline.
func (s *Site) since(ctx context.Context, pipeline string, t plan.Trigger) *since {
	return &since{ctx: ctx, site: s, trigger: t, pipeline: pipeline}
}

// changed reports whether a file that the patterns pick differs from the base;
// without a base every file there is counts as new.
func (c *since) changed(patterns []string) (bool, error) {
	if err := c.find(); err != nil {
		return false, err
	}
	if c.base == "" {
		return true, nil
	}
	return c.site.Repo.Differ(c.ctx, c.base, c.trigger.Commit, patterns)
}

// digest stands for the files of the commit that the patterns pick.
func (c *since) digest(patterns []string) (string, error) {
	return c.site.Repo.Digest(c.ctx, c.trigger.Commit, patterns)
}

func (c *since) find() error {
	if !c.found {
		c.found = true
		if c.base, c.err = c.lookup(); c.err != nil {
			c.err = fmt.Errorf("find what %s changes: %w", c.trigger.Commit.Short(), c.err)
		}
	}
	return c.err
}

// lookup is the merge base with the branch that a pull request is for, and for
// all else the last ancestor that the pipeline found good.
func (c *since) lookup() (plan.Commit, error) {
	if c.trigger.Event == plan.EventPullRequest && c.trigger.Target != "" {
		tips, err := c.site.Repo.Tips(c.ctx)
		if err != nil {
			return "", err
		}
		target, ok := tips[c.trigger.Target]
		if !ok {
			return "", nil
		}
		return c.site.Repo.MergeBase(c.ctx, target, c.trigger.Commit)
	}
	ancestors, err := c.site.Repo.Ancestors(c.ctx, c.trigger.Commit, lookBack)
	if err != nil {
		return "", err
	}
	for _, a := range ancestors {
		green, err := c.site.History.Green(c.ctx, a, c.pipeline)
		if green || err != nil {
			return a, err
		}
	}
	return "", nil
}
