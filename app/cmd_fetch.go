package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/git"
)

type fetchFlags struct {
	repo      *string
	logs, ask *bool
}

func (c *cli) fetchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fetch [REMOTE]",
		Short: "Bring builds that were published elsewhere, to read them here",
		Long: `Bring builds that were published elsewhere, to read them here.

REMOTE is the name of a remote, or a URL or path (default: origin, else the only
one). Its builds are then read with builds, show and logs, and its notes with
git log --notes=velocity. Builds that were recorded here are never touched.`,
		Args: arguments(0, 1),
	}
	f := fetchFlags{
		repo: repoFlag(cmd),
		logs: cmd.Flags().Bool("logs", false, "bring the logs, too"),
		ask:  askFlag(cmd),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return c.fetch(cmd.Context(), f, args) }
	return cmd
}

// askFlag adds --ask to a command that talks to a remote.
func askFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("ask", false, "let git and ssh ask for passwords on the terminal")
}

func (c *cli) fetch(ctx context.Context, f fetchFlags, args []string) error {
	r, err := c.openRecord(ctx, *f.repo)
	if err != nil {
		return err
	}
	remote, err := findRemote(ctx, r.repo, args, *f.ask)
	if err != nil {
		return err
	}
	done, err := r.store.Fetch(ctx, remote, *f.logs)
	if done.Dropped > 0 {
		fmt.Fprintf(c.Err, "velocity: %s of %s left out: they claim to be of builds of this repository, which has no such builds\n",
			count(done.Dropped, "line"), remote)
	}
	if done.Left > 0 {
		fmt.Fprintf(c.Err, "velocity: %s of %s left there: it has more than is taken from one remote\n", count(done.Left, "block"), remote)
	}
	if err != nil {
		return remoteFailure(err)
	}
	fmt.Fprintf(c.Out, "%s: %s\n", remote, fetchedText(done))
	return nil
}

// fetchedText says what has changed.
func fetchedText(done storage.Fetched) string {
	var said []string
	if done.Blocks > 0 {
		said = append(said, count(done.Blocks, "block")+" of builds new or changed")
	}
	if done.Pruned > 0 {
		said = append(said, count(done.Pruned, "block")+" gone")
	}
	if done.Notes {
		said = append(said, "notes merged")
	}
	if len(said) == 0 {
		said = append(said, "up to date")
	}
	return fmt.Sprintf("%s; %s", count(done.Stores, "other store"), strings.Join(said, ", "))
}

// findRemote is the remote that the arguments name.
func findRemote(ctx context.Context, repo *git.Repository, args []string, ask bool) (*git.Remote, error) {
	remote, err := repo.Remote(ctx, strings.Join(args, ""))
	if errors.Is(err, git.ErrNoRemote) {
		return nil, usage("%w", err).hint("git remote add NAME URL adds one; a path needs a slash, as in ./mirror.git")
	}
	if err != nil {
		return nil, usage("%w", err)
	}
	remote.Ask = ask
	return remote, nil
}

// remoteFailure adds the way out of what a remote did not want.
func remoteFailure(err error) error {
	var (
		refused  *storage.RefusedError
		conflict *storage.ConflictError
	)
	f := &failure{status: statusProblem, err: err}
	switch {
	case errors.Is(err, storage.ErrNothingBuilt):
		return usage("%w", err).hint("there is something to publish once velocity run --record, serve or a hook has built here")
	case errors.As(err, &refused):
		return f.hint("velocity publish --branches sends branches below velocity/ instead;\na repository that Velocity serves takes results from nobody")
	case errors.As(err, &conflict):
		return f.hint("after velocity purge: velocity publish --after-purge;\n"+
			"of two copies of a repository that both build, one can publish;\n"+
			"if what is there can go: git push %s :%s", conflict.Remote, conflict.Ref)
	}
	return f
}
