package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/client"
	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/blob"
)

type archiveFlags struct {
	from         place
	dryRun, json *bool
	keep         *storage.Retention
	blobs        *blob.Retention
}

func (c *cli) archiveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "archive",
		Short: "Put finished builds into the archive, and drop what need not be kept",
		Long: `Put finished builds that are not there yet into the archive, and drop logs and
builds beyond the bounds that are given. Without bounds everything is kept.

What is beyond any of its bounds goes, the oldest first. Logs go build by build;
builds go once all of a block of ten thousand are beyond, with their logs. Lines in
the notes stay, and so do builds that are not finished or cannot be read.
Artifacts go task by task, caches one by one, and with them content that nothing
has named for a day.

A server drops by itself what is beyond the bounds of its configuration. With
--server, --dry-run says what that would be now.`,
		Args: arguments(0, 0),
	}
	f := archiveFlags{
		from:   placeFlags(cmd),
		dryRun: cmd.Flags().Bool("dry-run", false, "say what would go, and change nothing"),
		json:   jsonFlag(cmd),
		keep:   keepFlags(cmd),
		blobs:  keepBlobFlags(cmd),
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.archive(cmd.Context(), f) }
	return cmd
}

func (c *cli) archive(ctx context.Context, f archiveFlags) error {
	r, err := c.archived(ctx, f)
	if err != nil {
		return err
	}
	if *f.json {
		return json.NewEncoder(c.Out).Encode(r)
	}
	return c.tellArchive(r)
}

// archived does what the flags ask for, or asks a server what it would do.
func (c *cli) archived(ctx context.Context, f archiveFlags) (api.Retention, error) {
	if *f.dryRun || *f.from.server.url != "" {
		server, err := f.from.remote(c)
		if err != nil {
			return api.Retention{}, err
		}
		if server != nil {
			return f.atServer(ctx, server)
		}
	}
	repo, err := openRepository(ctx, *f.from.repo)
	if err != nil {
		return api.Retention{}, err
	}
	address := c.env[envBlobs]
	if *f.dryRun {
		return c.wouldDrop(ctx, repo, address, *f.keep, *f.blobs)
	}
	dropped, archived, err := c.retainNow(ctx, c.openStore(repo), *f.keep)
	if err != nil {
		return api.Retention{}, err
	}
	r := retentionOf(dropped)
	r.Archived = archived
	r.Blobs, err = c.retainBlobs(ctx, repo, address, *f.blobs, false)
	return r, err
}

// atServer asks a server what it would drop by its own bounds.
func (f archiveFlags) atServer(ctx context.Context, server *client.Client) (api.Retention, error) {
	if !*f.dryRun {
		return api.Retention{}, usage("a server drops by itself what is beyond its bounds").hint("--dry-run says what that would be now")
	}
	if *f.keep != (storage.Retention{}) || *f.blobs != (blob.Retention{}) {
		return api.Retention{}, usage("--keep-… are for a repository on this machine: a server has bounds of its own").
			hint("its configuration names them, as in keep: {logs: {for: 30d}}")
	}
	return server.Retention(ctx)
}

// retainNow folds what is final, drops what is beyond the bounds, and makes room.
func (c *cli) retainNow(ctx context.Context, store *storage.Store, keep storage.Retention) (dropped storage.Dropped, archived int64, err error) {
	var folded atomic.Int64
	ledger, err := c.takeLock(ctx, store, holderArchive, func(build.ID) { folded.Add(1) })
	if err != nil {
		return dropped, 0, err
	}
	dropped, err = ledger.Retain(ctx, keep)
	if err == nil && !dropped.Nothing() {
		err = ledger.Collect(ctx)
	}
	err = errors.Join(err, ledger.Release(context.WithoutCancel(ctx)))
	return dropped, folded.Load(), err
}

// takeLock takes the writer's lock for a command that works alone.
func (c *cli) takeLock(ctx context.Context, store *storage.Store, who string, folded func(build.ID)) (*storage.Ledger, error) {
	ledger, err := store.Acquire(ctx, who, folded)
	var held *storage.HeldError
	if errors.As(err, &held) {
		f := &failure{status: statusProblem, err: err}
		if who == holderArchive && strings.HasPrefix(held.Holder, holderServe) {
			return nil, f.hint("velocity serve does the same as it serves, with the same --keep-… flags; or stop it first")
		}
		return nil, f.hint("stop it, or wait until it has ended, and try again")
	}
	if err != nil {
		return nil, err
	}
	for _, found := range ledger.Found() {
		fmt.Fprintf(c.Err, "velocity: %s\n", term.Clean(found))
	}
	return ledger, nil
}

func (c *cli) tellArchive(r api.Retention) error {
	done := "dropped"
	if r.DryRun {
		done = "would drop"
	}
	for _, text := range r.Unreadable {
		fmt.Fprintf(c.Err, "velocity: kept, since it cannot be read: %s\n", term.Clean(text))
	}
	_, err := fmt.Fprintf(c.Out, "archived %d builds\n%s the logs of %d builds: %d files, %s\n%s %d builds\n",
		r.Archived, done, r.Logs.Builds, r.Logs.Files, term.Bytes(r.Logs.Bytes), done, r.Builds)
	if err == nil && r.Blobs != (api.DroppedBlobs{}) {
		_, err = fmt.Fprintf(c.Out, "%s the artifacts of %d tasks and %d caches: %s\n", done, r.Blobs.Artifacts, r.Blobs.Caches, term.Bytes(r.Blobs.Bytes))
	}
	return err
}
