package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/velocity-ci/velocity/app/workflow"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/git"
)

// workflowFacts are what GitHub says a workflow runs for. Names in it are what
// people wrote who may be strangers.
type workflowFacts struct {
	event  string
	ref    string // full name of what SHA is the tip of
	sha    string
	target string // branch that a pull request is for, without refs/heads/
	actor  string
	pull   pullFacts
}

// pullFacts are the parts of the event's file that no variable has.
type pullFacts struct {
	Number      int64 `json:"number"`
	PullRequest struct {
		Head struct {
			SHA string `json:"sha"`
		} `json:"head"`
	} `json:"pull_request"`
	MergeGroup struct {
		BaseSHA string `json:"base_sha"`
	} `json:"merge_group"`
}

// eventFileLimit is the size, in bytes, that GitHub keeps the file of an event below.
const eventFileLimit = 32 << 20

// readWorkflowFacts reads the variables and the file of the event, which may be
// absent.
func readWorkflowFacts(env map[string]string) (workflowFacts, error) {
	w := workflowFacts{
		event: env["GITHUB_EVENT_NAME"], ref: env["GITHUB_REF"], sha: env["GITHUB_SHA"],
		target: env["GITHUB_BASE_REF"], actor: env["GITHUB_ACTOR"],
	}
	path := env["GITHUB_EVENT_PATH"]
	if path == "" {
		return w, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return w, fmt.Errorf("read the event of the workflow: %w", err)
	}
	defer file.Close()
	if err := json.NewDecoder(io.LimitReader(file, eventFileLimit)).Decode(&w.pull); err != nil {
		return w, fmt.Errorf("read the event of the workflow in %s: %w", path, err)
	}
	return w, nil
}

// apply completes what a checkout does not say: the ref of a commit that is checked
// out as such, and what a pull request changes.
func (w workflowFacts) apply(ctx context.Context, from *origin) (*pullChanges, error) {
	if from.ref == "" {
		from.ref = w.refOf(from.commit.String())
	}
	base, err := w.base(ctx, from)
	if err != nil {
		return nil, err
	}
	c := &pullChanges{repo: from.repo, base: base, head: from.commit, wanted: w.proposes()}
	if !base.IsZero() {
		from.changed = c.changed
	}
	return c, nil
}

// proposes reports whether the workflow is about what may become a part of a branch.
func (w workflowFacts) proposes() bool {
	return w.event == "pull_request" || w.event == "merge_group"
}

// refOf is the ref that a commit is the tip of, as far as the workflow is about it;
// "" for any other commit.
func (w workflowFacts) refOf(commit string) string {
	switch {
	case commit == w.sha && strings.HasPrefix(w.ref, "refs/"):
		return w.ref
	case commit == w.pull.PullRequest.Head.SHA && w.pull.Number > 0:
		return fmt.Sprintf("refs/pull/%d/head", w.pull.Number)
	}
	return ""
}

// base is the commit that a pull request or merge group is compared with, as far as
// the checkout reaches there; git.Zero if it does not, or for other events.
func (w workflowFacts) base(ctx context.Context, from *origin) (git.Hash, error) {
	if !w.proposes() {
		return git.Zero, nil
	}
	if from.commit.String() == w.sha && w.event == "pull_request" {
		// GitHub's own merge of the branch and the pull request: what it adds to its
		// first parent is what the pull request changes.
		c, err := from.repo.Commit(from.commit)
		if err != nil {
			return git.Zero, fmt.Errorf("read HEAD: %w", err)
		}
		if len(c.Parents) == 2 && w.has(from.repo, c.Parents[0]) {
			return c.Parents[0], nil
		}
	}
	target, err := w.targetTip(from.repo)
	if err != nil || target.IsZero() {
		return git.Zero, err
	}
	return from.repo.MergeBase(ctx, target, from.commit)
}

// targetTip is the newest commit of the branch to merge into that the checkout has.
func (w workflowFacts) targetTip(repo *git.Repository) (git.Hash, error) {
	if h, err := git.ParseHash(w.pull.MergeGroup.BaseSHA); err == nil {
		if w.has(repo, h) {
			return h, nil
		}
		return git.Zero, nil
	}
	h, err := repo.Ref("refs/remotes/origin/" + w.target)
	var broken *git.BrokenRef
	if errors.Is(err, git.ErrRefNotFound) || errors.As(err, &broken) {
		return git.Zero, nil
	}
	return h, err
}

func (workflowFacts) has(repo *git.Repository, commit git.Hash) bool {
	_, err := repo.Commit(commit)
	return err == nil
}

// pullChanges is what a pull request changes.
type pullChanges struct {
	repo       *git.Repository
	base, head git.Hash // base is Zero when it is not known
	wanted     bool     // whoever reads would expect a comparison
	asked      bool
}

func (c *pullChanges) changed(patterns []string) (bool, error) {
	c.asked = true
	return c.repo.Differ(c.base, c.head, plan.Patterns(patterns))
}

// say tells what a plan was compared with.
func (c *pullChanges) say(out *workflow.Writer, p *plan.Plan) {
	switch {
	case c.asked:
		p.Base = planCommit(c.base)
		out.Line("compared with " + p.Base.Short())
	case c.wanted && c.base.IsZero():
		out.Line("everything counts as changed: the checkout has no commit to compare with; with fetch-depth: 2, or 0, actions/checkout fetches one")
	}
}
