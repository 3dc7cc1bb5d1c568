package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/blueprint"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/git"
)

// An origin is where a configuration is read, and the commit that it is about.
type origin struct {
	repo   *git.Repository
	files  *os.Root // of the work tree; nil if a commit's files are read
	ref    string   // full name; "" if a bare commit is meant
	commit git.Hash // Zero before the first commit

	changed func(patterns []string) (bool, error) // see blueprint.Request; nil if it is not known
}

// originFlags choose an origin.
type originFlags struct{ repo, commit *string }

func addOriginFlags(cmd *cobra.Command) originFlags {
	return originFlags{
		repo:   repoFlag(cmd),
		commit: cmd.Flags().String("commit", "", "read what is committed at `REV` instead of the work tree"),
	}
}

// open finds the work tree, or the commit that was named or that a bare
// repository has at HEAD. The caller closes the origin.
func (f originFlags) open(ctx context.Context) (*origin, error) {
	repo, err := openRepository(ctx, *f.repo)
	if err != nil {
		return nil, err
	}
	s := &origin{repo: repo}
	if *f.commit == "" && repo.WorkTree() != "" {
		if s.ref, s.commit, err = repo.Head(); err != nil {
			return nil, fmt.Errorf("read HEAD: %w", err)
		}
		if s.files, err = os.OpenRoot(repo.WorkTree()); err != nil {
			return nil, fmt.Errorf("open work tree: %w", err)
		}
		return s, nil
	}
	rev := *f.commit
	if rev == "" {
		rev = "HEAD"
	}
	if s.ref, s.commit, err = repo.Resolve(rev); err != nil {
		return nil, fmt.Errorf("find commit: %w", err)
	}
	return s, nil
}

func (s *origin) close() {
	if s.files != nil {
		_ = s.files.Close() // it was only read
	}
}

// config reads the configuration. That there is none at all is an error; what is
// wrong with it is in the findings.
func (s *origin) config() (*blueprint.Config, blueprint.Findings, error) {
	var tree blueprint.Tree = commitTree{s.repo, s.commit}
	if s.files != nil {
		tree = worktree{s.files}
	}
	config, findings, err := blueprint.Load(tree)
	if err != nil {
		return nil, nil, fmt.Errorf("load configuration: %w", err)
	}
	if len(config.Blueprints()) == 0 && len(findings) == 0 {
		return nil, nil, usage("there is no configuration in this repository").hint("velocity init writes one")
	}
	return config, findings, nil
}

// facts answers for the built-in parameters about a commit, which are "" before
// the first one. An annotated tag must have been peeled.
func facts(ctx context.Context, repo *git.Repository, ref string, commit git.Hash) func(name string) (string, error) {
	return func(name string) (string, error) {
		switch name {
		case "git.branch":
			return plan.Branch(ref), nil
		case "git.tag":
			return plan.Tag(ref), nil
		}
		if commit.IsZero() {
			return "", nil
		}
		switch name {
		case "git.commit.sha.long":
			return commit.String(), nil
		case "git.commit.sha.short":
			return planCommit(commit).Short(), nil
		case "git.describe", "git.describe.all":
			return repo.Describe(ctx, commit, name == "git.describe.all")
		}
		c, err := repo.Commit(commit)
		if err != nil {
			return "", err
		}
		return commitFact(c, name)
	}
}

func commitFact(c git.Commit, name string) (string, error) {
	switch name {
	case "git.commit.author":
		return c.Author.Name + " <" + c.Author.Email + ">", nil
	case "git.commit.message":
		return strings.TrimRight(c.Message, "\n"), nil
	case "git.commit.rfc3339":
		return c.Committed.UTC().Format(time.RFC3339), nil
	case "git.commit.rfc822":
		return c.Committed.UTC().Format(time.RFC822), nil
	}
	return "", fmt.Errorf("there is no built-in parameter %s", name)
}

// planCommit is a commit in the words of a plan; "" for none.
func planCommit(h git.Hash) plan.Commit {
	if h.IsZero() {
		return ""
	}
	return plan.Commit(h.String())
}

// peel finds the commit that a trigger means.
func (s *origin) peel(c plan.Commit) (git.Hash, error) {
	if c.Zero() {
		return git.Zero, nil
	}
	h, err := git.ParseHash(string(c))
	if err != nil {
		return git.Zero, usage("%w", err)
	}
	h, err = s.repo.Peel(h)
	if errors.Is(err, git.ErrObjectNotFound) {
		return git.Zero, usage("commit %s is not in this repository: %w", c, err)
	}
	return h, err
}
