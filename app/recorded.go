package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/git"
)

// A record is what a repository tells about its builds.
type record struct {
	repo  *git.Repository
	store *storage.Store
}

func (c *cli) openRecord(ctx context.Context, path string) (*record, error) {
	repo, err := openRepository(ctx, path)
	if err != nil {
		return nil, err
	}
	return &record{repo: repo, store: c.openStore(repo)}, nil
}

// build finds and reads the build that a person means by an id, a number or a
// commit.
func (r *record) build(ctx context.Context, text string) (*build.Build, error) {
	id, err := r.store.Find(ctx, text)
	if err != nil {
		return nil, err
	}
	b, _, err := r.store.Build(ctx, id)
	return b, err
}

// findTask is the task that a person means by its key or name.
func findTask(b *build.Build, text string) (*build.Task, error) {
	if t, ok := b.Task(text); ok {
		return t, nil
	}
	var names []string
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			t := &b.Stages[i].Tasks[j]
			if t.Name == text {
				return t, nil
			}
			names = append(names, t.Name)
		}
	}
	return nil, usage("build %s has no task %q", b.ID, text).hint("its tasks are %s", strings.Join(names, ", "))
}

// fullRef completes the name of a branch, or of a tag if only that exists.
func (r *record) fullRef(name string) string {
	if name == "" || strings.HasPrefix(name, "refs/") {
		return name
	}
	_, branch := r.repo.Ref(plan.BranchPrefix + name)
	_, tag := r.repo.Ref(plan.TagPrefix + name)
	if branch != nil && tag == nil {
		return plan.TagPrefix + name
	}
	return plan.BranchPrefix + name // also one that is gone
}

// fullCommit finds the commit that a person means; one that is named in full may
// be gone.
func (r *record) fullCommit(ctx context.Context, rev string) (plan.Commit, error) {
	if c, err := plan.ParseCommit(rev); err == nil || rev == "" {
		return c, nil
	}
	h, err := r.repo.Revision(ctx, rev)
	if err != nil {
		return "", fmt.Errorf("find commit: %w", err)
	}
	return planCommit(h), nil
}

// buildState reads the state of builds to list.
func buildState(text string) (build.State, error) {
	states := []build.State{build.Building, build.Succeeded, build.Failed}
	if s := build.State(text); text == "" || slices.Contains(states, s) {
		return s, nil
	}
	return "", usage("%q is not the state of a build", text).hint("builds are %s, %s or %s", states[0], states[1], states[2])
}

// page prints to the command's output.
func (c *cli) page() term.Page {
	return term.Page{Out: c.Out, Now: c.now(), Colour: c.colour(c.Out)}
}
