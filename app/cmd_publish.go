package app

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/storage"
)

type publishFlags struct {
	repo                            *string
	logs, branches, afterPurge, ask *bool
}

func (c *cli) publishCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "publish [REMOTE]",
		Short: "Send the builds of this repository to a remote, for others to fetch",
		Long: `Send the builds of this repository to a remote, for others to fetch.

REMOTE is the name of a remote, or a URL or path (default: origin, else the only
one). Branches and tags are not sent. Nothing at the remote is overwritten that
was not published from here; notes that others published are merged.`,
		Args: arguments(0, 1),
	}
	flags := cmd.Flags()
	f := publishFlags{
		repo:       repoFlag(cmd),
		logs:       flags.Bool("logs", false, "send the logs, too"),
		branches:   flags.Bool("branches", false, "send branches below velocity/, for remotes that take no other refs"),
		afterPurge: flags.Bool("after-purge", false, "replace there what velocity purge has rewritten here"),
		ask:        askFlag(cmd),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return c.publish(cmd.Context(), f, args) }
	return cmd
}

func (c *cli) publish(ctx context.Context, f publishFlags, args []string) error {
	r, err := c.openRecord(ctx, *f.repo)
	if err != nil {
		return err
	}
	remote, err := findRemote(ctx, r.repo, args, *f.ask)
	if err != nil {
		return err
	}
	sent, err := r.store.Publish(ctx, remote, storage.PublishOptions{
		Logs: *f.logs, Branches: *f.branches, AfterPurge: *f.afterPurge, Sleep: pause,
		Waiting: func(d time.Duration) {
			fmt.Fprintf(c.Err, "velocity: waiting %s: %s is sent no more than 6 pushes a minute\n", d.Round(time.Second), remote)
		},
	})
	if err != nil {
		return remoteFailure(err)
	}
	if sent == 0 {
		fmt.Fprintf(c.Out, "%s is up to date\n", remote)
		return nil
	}
	fmt.Fprintf(c.Out, "published %s to %s\n", count(sent, "ref"), remote)
	return nil
}

// pause waits for a time or for the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
