package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/blueprint"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/git"
)

// A view is a repository as plans are drawn from it.
type view struct{ repo *git.Repository }

// Tips implements architect.Repository. A ref that cannot be read is left out:
// it says nothing about what to build.
func (v view) Tips(context.Context) (map[string]plan.Commit, error) {
	tips := map[string]plan.Commit{}
	for _, prefix := range []string{plan.BranchPrefix, plan.TagPrefix} {
		refs, _, err := v.repo.Refs(prefix)
		if err != nil {
			return nil, fmt.Errorf("list refs: %w", err)
		}
		for _, ref := range refs {
			if commit, err := v.repo.Peel(ref.Hash); err == nil {
				tips[ref.Name] = planCommit(commit)
			}
		}
	}
	return tips, nil
}

// mergeQueue is before the branches on which GitHub builds a merge group: they are
// asked for as such, and never as pushes.
const mergeQueue = plan.BranchPrefix + "gh-readonly-queue/"

// A mirrorView is a mirror of a forge's repository as plans are drawn from it.
type mirrorView struct{ view }

// Tips implements architect.Repository.
func (v mirrorView) Tips(ctx context.Context) (map[string]plan.Commit, error) {
	tips, err := v.view.Tips(ctx)
	maps.DeleteFunc(tips, func(ref string, _ plan.Commit) bool { return strings.HasPrefix(ref, mergeQueue) })
	return tips, err
}

// Head implements architect.Repository.
func (v view) Head(context.Context) (string, error) {
	branch, _, err := v.repo.Head()
	if err != nil {
		return "", fmt.Errorf("read HEAD: %w", err)
	}
	return branch, nil
}

// Tree implements architect.Repository.
func (v view) Tree(_ context.Context, c plan.Commit) (blueprint.Tree, plan.Commit, error) {
	h, err := git.ParseHash(string(c))
	if err != nil {
		return nil, c, fmt.Errorf("%w: %w", architect.ErrGone, err)
	}
	commit, err := v.repo.Peel(h)
	if errors.Is(err, git.ErrObjectNotFound) {
		return nil, c, fmt.Errorf("%w: %w", architect.ErrGone, err)
	}
	if err != nil {
		return nil, c, err
	}
	return commitTree{v.repo, commit}, planCommit(commit), nil
}

// Facts implements architect.Repository.
func (v view) Facts(ctx context.Context, c plan.Commit, ref string) func(name string) (string, error) {
	h, err := git.ParseHash(string(c))
	if err != nil {
		return func(string) (string, error) { return "", err }
	}
	return facts(ctx, v.repo, ref, h)
}

// MergeBase implements architect.Repository.
func (v view) MergeBase(ctx context.Context, a, b plan.Commit) (plan.Commit, error) {
	left, err := hashOf(a)
	if err != nil {
		return "", err
	}
	right, err := hashOf(b)
	if err != nil {
		return "", err
	}
	base, err := v.repo.MergeBase(ctx, left, right)
	return planCommit(base), err
}

// Ancestors implements architect.Repository.
func (v view) Ancestors(_ context.Context, c plan.Commit, limit int) ([]plan.Commit, error) {
	h, err := hashOf(c)
	if err != nil {
		return nil, err
	}
	all, err := v.repo.Ancestors(h, limit)
	commits := make([]plan.Commit, len(all))
	for i, a := range all {
		commits[i] = planCommit(a)
	}
	return commits, err
}

// Differ implements architect.Repository.
func (v view) Differ(_ context.Context, from, to plan.Commit, files plan.Patterns) (bool, error) {
	old, err := hashOf(from)
	if err != nil {
		return false, err
	}
	h, err := hashOf(to)
	if err != nil {
		return false, err
	}
	return v.repo.Differ(old, h, files)
}

// Digest implements architect.Repository.
func (v view) Digest(_ context.Context, c plan.Commit, files plan.Patterns) (string, error) {
	h, err := hashOf(c)
	if err != nil {
		return "", err
	}
	return v.repo.Digest(h, files)
}

// hashOf is git.Zero for no commit.
func hashOf(c plan.Commit) (git.Hash, error) {
	if c.Zero() {
		return git.Zero, nil
	}
	return git.ParseHash(string(c))
}
