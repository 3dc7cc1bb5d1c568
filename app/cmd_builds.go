package app

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage"
)

type buildsFlags struct {
	place               place
	limit               *int
	before              *string
	ref, commit, author *string
	name, task, state   *string
	since, until        *string
	json                *bool
}

func (c *cli) buildsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "builds",
		Short: "List the builds that are recorded in a repository, newest first",
		Args:  arguments(0, 0),
	}
	flags := cmd.Flags()
	f := buildsFlags{
		place:  placeFlags(cmd),
		limit:  flags.Int("limit", storage.DefaultLimit, "list at most so many"),
		before: flags.String("before", "", "only builds older than this one: the last of a list gives the next page"),
		ref:    flags.String("ref", "", "only builds of this branch or tag"),
		commit: flags.String("commit", "", "only builds of this commit"),
		author: flags.String("author", "", "only builds of a commit by, or asked for by, somebody whose name or address contains this"),
		name:   flags.String("name", "", "only builds of this pipeline or blueprint"),
		task:   flags.String("task", "", "only builds that have this task, by its name or key"),
		state:  flags.String("state", "", "only builds in this state: building, succeeded or failed; with --task, builds in which that task is in this state"),
		since:  flags.String("since", "", "only builds submitted since then: 2h or 3d ago, a day as 2026-11-22 (UTC), or a time of RFC 3339"),
		until:  flags.String("until", "", "only builds submitted before then"),
		json:   jsonFlag(cmd),
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.builds(cmd.Context(), f) }
	return cmd
}

func (c *cli) builds(ctx context.Context, f buildsFlags) error {
	q, err := c.query(f)
	if err != nil {
		return err
	}
	builds, unread, err := c.someBuilds(ctx, f, q)
	if err != nil {
		return err
	}
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

// someBuilds asks a server or a repository. unread is about builds that are left
// out.
func (c *cli) someBuilds(ctx context.Context, f buildsFlags, q storage.Query) (builds []*build.Build, unread, err error) {
	server, err := f.place.remote(c)
	if err != nil {
		return nil, nil, err
	}
	if server != nil {
		builds, err = remoteBuilds(ctx, server, f)
		return builds, nil, err
	}
	r, err := c.openRecord(ctx, *f.place.repo)
	if err != nil {
		return nil, nil, err
	}
	if err := r.complete(ctx, f, &q); err != nil {
		return nil, nil, err
	}
	builds, unread = r.store.Builds(ctx, q)
	return builds, unread, nil
}

// complete reads the flags that only the repository can explain.
func (r *record) complete(ctx context.Context, f buildsFlags, q *storage.Query) (err error) {
	q.Ref = r.fullRef(*f.ref)
	if q.Commit, err = r.fullCommit(ctx, *f.commit); err != nil {
		return err
	}
	if *f.before != "" {
		q.Before, err = r.store.Find(ctx, *f.before)
	}
	return err
}

// query reads the flags that can be understood without the repository.
func (c *cli) query(f buildsFlags) (q storage.Query, err error) {
	if *f.limit < 1 {
		return q, usage("--limit %d is less than 1", *f.limit)
	}
	q = storage.Query{Limit: *f.limit, Name: *f.name, Author: *f.author, Task: *f.task}
	read := buildState
	if q.Task != "" {
		read = taskState
	}
	if q.State, err = read(*f.state); err != nil {
		return q, err
	}
	if q.Since, err = moment("--since", *f.since, c.now()); err != nil {
		return q, err
	}
	q.Until, err = moment("--until", *f.until, c.now())
	return q, err
}
