package app

import (
	"context"
	"errors"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/blob"
	"github.com/velocity-ci/velocity/storage/git"
)

// wouldDrop tells what the server would drop of a repository if a round began now.
func (s *service) wouldDrop(ctx context.Context, h *served) (api.Retention, error) {
	return s.c.wouldDrop(ctx, h.repo, s.shelves.address, s.options.configured.retention(), s.keepBlobs)
}

// wouldDrop tells what bounds would take away from a repository now, and changes
// nothing.
func (c *cli) wouldDrop(ctx context.Context, repo *git.Repository, address string, keep storage.Retention, blobs blob.Retention) (api.Retention, error) {
	dropped, err := c.openStore(repo).PlanRetention(ctx, keep)
	if err != nil {
		return api.Retention{}, err
	}
	r := retentionOf(dropped)
	r.DryRun = true
	r.Blobs, err = c.retainBlobs(ctx, repo, address, blobs, true)
	return r, err
}

// retentionOf is what went of a ledger, as it is told.
func retentionOf(d storage.Dropped) api.Retention {
	return api.Retention{
		Builds: d.Builds, Unreadable: d.Unreadable,
		Logs: api.DroppedLogs{Builds: d.LogsOf, Files: d.Files, Bytes: d.Bytes},
	}
}

// retainBlobs drops artifacts and caches beyond the bounds, or tells which with dry.
func (c *cli) retainBlobs(ctx context.Context, repo *git.Repository, address string, keep blob.Retention, dry bool) (d api.DroppedBlobs, err error) {
	id, err := c.openStore(repo).ID()
	if err != nil || id == "" {
		return d, err
	}
	store, err := c.openBlobs(ctx, repo, address, id, false)
	if errors.Is(err, blob.ErrNone) {
		return d, nil
	}
	if err != nil {
		return d, err
	}
	went, err := store.Retain(ctx, keep, dry)
	return api.DroppedBlobs{Artifacts: went.Artifacts, Caches: went.Caches, Bytes: went.Bytes}, errors.Join(err, store.Close())
}
