package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/blob"
	"github.com/velocity-ci/velocity/storage/git"
)

type archiveFlags struct {
	repo         *string
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
has named for a day.`,
		Args: arguments(0, 0),
	}
	f := archiveFlags{
		repo:   repoFlag(cmd),
		dryRun: cmd.Flags().Bool("dry-run", false, "say what would go, and change nothing"),
		json:   jsonFlag(cmd),
		keep:   keepFlags(cmd),
		blobs:  keepBlobFlags(cmd),
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.archive(cmd.Context(), f) }
	return cmd
}

func (c *cli) archive(ctx context.Context, f archiveFlags) error {
	repo, err := openRepository(ctx, *f.repo)
	if err != nil {
		return err
	}
	r := archiveReport{DryRun: *f.dryRun}
	var dropped storage.Dropped
	if *f.dryRun {
		dropped, err = c.openStore(repo).PlanRetention(ctx, *f.keep)
	} else {
		dropped, r.Archived, err = c.retainNow(ctx, c.openStore(repo), *f.keep)
	}
	if err != nil {
		return err
	}
	if r.Blobs, err = c.retainBlobs(ctx, repo, *f.blobs, *f.dryRun); err != nil {
		return err
	}
	r.Builds, r.Unreadable = dropped.Builds, dropped.Unreadable
	r.Logs = logsReport{Builds: dropped.LogsOf, Files: dropped.Files, Bytes: dropped.Bytes}
	if *f.json {
		return json.NewEncoder(c.Out).Encode(r)
	}
	return c.tellArchive(r)
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

// An archiveReport is what velocity archive did, as --json prints it.
type archiveReport struct {
	DryRun     bool       `json:"dryRun"`
	Archived   int64      `json:"archived"` // builds that came into the archive
	Builds     int        `json:"builds"`   // that were dropped
	Logs       logsReport `json:"logs"`     // that were dropped
	Unreadable []string   `json:"unreadable,omitempty"`

	Blobs blobsReport `json:"blobs"` // artifacts and caches that were dropped
}

type blobsReport struct {
	Artifacts int   `json:"artifacts"` // tasks whose artifacts they were
	Caches    int   `json:"caches"`
	Bytes     int64 `json:"bytes"` // packed
}

// retainBlobs drops artifacts and caches beyond the bounds.
func (c *cli) retainBlobs(ctx context.Context, repo *git.Repository, keep blob.Retention, dry bool) (r blobsReport, err error) {
	id, err := c.openStore(repo).ID()
	if err != nil || id == "" {
		return r, err
	}
	store, err := c.openBlobs(ctx, repo, c.env[envBlobs], id, false)
	if errors.Is(err, blob.ErrNone) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	d, err := store.Retain(ctx, keep, dry)
	return blobsReport{Artifacts: d.Artifacts, Caches: d.Caches, Bytes: d.Bytes}, errors.Join(err, store.Close())
}

type logsReport struct {
	Builds int   `json:"builds"` // whose logs they were
	Files  int   `json:"files"`
	Bytes  int64 `json:"bytes"` // before compression
}

func (c *cli) tellArchive(r archiveReport) error {
	done := "dropped"
	if r.DryRun {
		done = "would drop"
	}
	for _, text := range r.Unreadable {
		fmt.Fprintf(c.Err, "velocity: kept, since it cannot be read: %s\n", term.Clean(text))
	}
	_, err := fmt.Fprintf(c.Out, "archived %d builds\n%s the logs of %d builds: %d files, %s\n%s %d builds\n",
		r.Archived, done, r.Logs.Builds, r.Logs.Files, term.Bytes(r.Logs.Bytes), done, r.Builds)
	if err == nil && r.Blobs != (blobsReport{}) {
		_, err = fmt.Fprintf(c.Out, "%s the artifacts of %d tasks and %d caches: %s\n", done, r.Blobs.Artifacts, r.Blobs.Caches, term.Bytes(r.Blobs.Bytes))
	}
	return err
}
