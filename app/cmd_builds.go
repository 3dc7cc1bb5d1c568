package app

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/storage"
)

type buildsFlags struct {
	repo                     *string
	limit                    *int
	ref, commit, name, state *string
	json                     *bool
}

func (c *cli) buildsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "builds",
		Short: "List the builds that are recorded in a repository, newest first",
		Args:  arguments(0, 0),
	}
	flags := cmd.Flags()
	f := buildsFlags{
		repo:   repoFlag(cmd),
		limit:  flags.Int("limit", storage.DefaultLimit, "list at most so many"),
		ref:    flags.String("ref", "", "only builds of this branch or tag"),
		commit: flags.String("commit", "", "only builds of this commit"),
		name:   flags.String("name", "", "only builds of this pipeline or blueprint"),
		state:  flags.String("state", "", "only builds in this state: building, succeeded or failed"),
		json:   jsonFlag(cmd),
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.builds(cmd.Context(), f) }
	return cmd
}

func (c *cli) builds(ctx context.Context, f buildsFlags) error {
	if *f.limit < 1 {
		return usage("--limit %d is less than 1", *f.limit)
	}
	state, err := buildState(*f.state)
	if err != nil {
		return err
	}
	r, err := c.openRecord(ctx, *f.repo)
	if err != nil {
		return err
	}
	commit, err := r.fullCommit(*f.commit)
	if err != nil {
		return err
	}
	builds, unread := r.store.Builds(ctx, storage.Query{
		Limit: *f.limit, Ref: r.fullRef(*f.ref), Commit: commit, Name: *f.name, State: state,
	})
	if *f.json {
		err = printBuilds(c.Out, builds)
	} else {
		err = c.page().Builds(builds)
	}
	if err != nil {
		return err
	}
	return unread
}
