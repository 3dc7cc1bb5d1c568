package architect

import (
	"context"
	"fmt"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// lookBack bounds how many ancestors are asked for a green build. A branch that
// was red for longer is built as a whole.
const lookBack = 500

// A Past is what earlier builds of a repository say about one to come.
type Past interface {
	// Reusable finds the newest success under each of these keys that others can
	// rely on, as far as there is one.
	Reusable(ctx context.Context, keys []string) (map[string]build.Success, error)
	// Green reports whether a build of the commit by this pipeline succeeded that
	// others can rely on.
	Green(ctx context.Context, c plan.Commit, pipeline string) (bool, error)
}

// A Comparison answers for one pipeline and one trigger what has changed. It finds
// out what to compare with when it is first asked: most plans never do. One
// goroutine at a time may use it.
type Comparison struct {
	ctx      context.Context
	repo     Repository
	past     Past
	trigger  plan.Trigger
	pipeline string

	found bool
	base  plan.Commit // "" when there is nothing to compare with
	err   error
}

// Compare begins to compare for a pipeline and a trigger with the commit that is
// built. ctx is that of all questions.
func Compare(ctx context.Context, repo Repository, past Past, pipeline string, t plan.Trigger) *Comparison {
	return &Comparison{ctx: ctx, repo: repo, past: past, trigger: t, pipeline: pipeline}
}

// Base is the commit that was compared with, "" if there is none. asked is false
// as long as nobody wanted to know what changed.
func (c *Comparison) Base() (base plan.Commit, asked bool) { return c.base, c.found }

// Changed reports whether a file that the patterns pick differs from the base;
// without a base every file there is counts as new.
func (c *Comparison) Changed(patterns []string) (bool, error) {
	if err := c.find(); err != nil {
		return false, err
	}
	if c.base == "" {
		return true, nil
	}
	return c.repo.Differ(c.ctx, c.base, c.trigger.Commit, patterns)
}

// Digest stands for the files of the commit that the patterns pick.
func (c *Comparison) Digest(patterns []string) (string, error) {
	return c.repo.Digest(c.ctx, c.trigger.Commit, patterns)
}

func (c *Comparison) find() error {
	if !c.found {
		c.found = true
		if c.base, c.err = c.lookup(); c.err != nil {
			c.err = fmt.Errorf("find what %s changes: %w", c.trigger.Commit.Short(), c.err)
		}
	}
	return c.err
}

// lookup is the merge base with the branch that a pull request or merge group is for, and for
// all else the last ancestor that the pipeline found good.
func (c *Comparison) lookup() (plan.Commit, error) {
	if c.trigger.Event.Proposes() && c.trigger.Target != "" {
		tips, err := c.repo.Tips(c.ctx)
		if err != nil {
			return "", err
		}
		target, ok := tips[c.trigger.Target]
		if !ok {
			return "", nil
		}
		return c.repo.MergeBase(c.ctx, target, c.trigger.Commit)
	}
	ancestors, err := c.repo.Ancestors(c.ctx, c.trigger.Commit, lookBack)
	if err != nil {
		return "", err
	}
	for _, a := range ancestors {
		green, err := c.past.Green(c.ctx, a, c.pipeline)
		if green || err != nil {
			return a, err
		}
	}
	return "", nil
}
