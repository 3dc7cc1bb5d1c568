package git

import (
	"context"
	"errors"
	"fmt"
	"syscall"
)

// Collect drops at once what nothing reaches any more from our own packs, however
// few they are, and leaves one. Upkeep does so only when they have doubled. It
// waits for an upkeep or a gc that runs, and works beside writers. In a partial clone, or
// where deletions are forbidden, it does nothing.
func (r *Repository) Collect(ctx context.Context) error {
	if r.mayErase() != nil {
		return nil
	}
	unlock, err := r.waitLock(ctx, upkeepLock, syscall.LOCK_EX)
	if err != nil {
		return fmt.Errorf("collect: %w", err)
	}
	defer unlock()
	unmark, err := r.waitGC(ctx)
	if err != nil {
		return fmt.Errorf("collect: %w", err)
	}
	r.Reindex() // see Upkeep
	own, err := r.ownPacks()
	if err == nil && len(own) > 0 {
		err = r.collect(ctx, own)
	}
	return wrap("collect", errors.Join(err, unmark()))
}
