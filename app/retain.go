package app

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/blob"
)

// How often a server drops what need not be kept, and after how many rounds it
// makes room of it, for which packs are written anew.
const (
	retainEvery  = time.Hour
	collectEvery = 24
)

// watchAndRetain is the work of a server that does not keep everything.
func (s *service) watchAndRetain(ctx context.Context, keep storage.Retention) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.watch(ctx) })
	hourly := time.NewTicker(retainEvery)
	defer hourly.Stop()
	group.Go(func() error { s.retain(ctx, keep, hourly.C); return nil })
	return group.Wait()
}

// retain drops what is beyond the bounds at once and whenever again says so,
// until ctx ends.
func (s *service) retain(ctx context.Context, keep storage.Retention, again <-chan time.Time) {
	if keep == (storage.Retention{}) && s.keepBlobs == (blob.Retention{}) {
		return
	}
	for round := 0; ; round++ {
		s.retainAll(ctx, keep, round%collectEvery == 0)
		select {
		case <-ctx.Done():
			return
		case <-again:
		}
	}
}

// retainAll is one round. It notes where room could be made, and makes it if it is
// time to.
func (s *service) retainAll(ctx context.Context, keep storage.Retention, collect bool) {
	for _, h := range s.houses.list() {
		if s.keepBlobs != (blob.Retention{}) {
			s.retainBlobsIn(ctx, h)
		}
		h.room = s.retainIn(ctx, h, keep) || h.room
		if !collect || !h.room {
			continue
		}
		h.room = false
		if err := h.ledger.Collect(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("what was dropped still takes room", "repo", h.site.Called(), "err", err)
		}
	}
}

// retainBlobsIn drops artifacts and caches. That it fails costs room and nothing
// else.
func (s *service) retainBlobsIn(ctx context.Context, h *served) {
	d, err := s.c.retainBlobs(ctx, h.repo, s.shelves.address, s.keepBlobs, false)
	switch {
	case err != nil && ctx.Err() == nil:
		s.log.Warn("old artifacts and caches are kept", "repo", h.site.Called(), "err", err)
	case d != (api.DroppedBlobs{}):
		s.log.Info("dropped", "repo", h.site.Called(), "artifactsOf", d.Artifacts, "caches", d.Caches, "bytes", d.Bytes)
	}
}

// retainIn reports whether it dropped something. That it fails costs room and
// nothing else: the next round tries again.
func (s *service) retainIn(ctx context.Context, h *served, keep storage.Retention) bool {
	dropped, err := h.ledger.Retain(ctx, keep)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Warn("old builds are kept", "repo", h.site.Called(), "err", err)
		}
		return false
	}
	for _, text := range dropped.Unreadable {
		s.log.Warn("kept, since it cannot be read", "repo", h.site.Called(), "found", text)
	}
	if !dropped.Nothing() {
		s.log.Info("dropped", "repo", h.site.Called(), "builds", dropped.Builds, "logsOf", dropped.LogsOf, "files", dropped.Files, "bytes", dropped.Bytes)
	}
	return !dropped.Nothing()
}
