package git

import (
	"context"
	"fmt"
	"syscall"

	"github.com/go-git/go-git/v5/plumbing"
)

// A RefUpdate moves one ref from the value it must have to the next. Zero as Old
// means that the ref must not exist, Zero as New deletes it; equal values only
// check it.
type RefUpdate struct {
	Name     string
	Old, New Hash
}

// Write stores a batch's objects and then moves refs, all or none. It returns
// nil only when everything would survive a power cut. A nil batch has no objects.
//
// A ref with another value gives a *RefMovedError (ErrRefMoved), a lock file that
// stays in the way an error that names it; no ref has changed then, and upkeep
// drops the objects. Refs change in the given order, deletions last; should the
// disk fail in between, the error says how many have changed already, and each
// ref has either its old or its new value. Retry from the read, never the write
// alone.
//
// Objects that the batch or an update names but does not hold must be reachable
// from some ref during the call.
func (r *Repository) Write(ctx context.Context, b *Batch, updates []RefUpdate) error {
	if err := checkUpdates(updates); err != nil {
		return err
	}
	unlock, err := r.lockPacks(ctx, syscall.LOCK_SH)
	if err != nil {
		return err
	}
	defer unlock()
	// Also done under the locks; here it saves a pack that nobody would need.
	if _, err := r.compare(updates); err != nil {
		return err
	}
	if err := r.checkLinks(b, updates); err != nil {
		return err
	}
	if b != nil && len(b.order) > 0 {
		if err := r.writePack(b); err != nil {
			return fmt.Errorf("write objects: %w", err)
		}
	}
	return r.moveRefs(ctx, updates)
}

func checkUpdates(updates []RefUpdate) error {
	seen := make(map[string]bool, len(updates))
	for _, update := range updates {
		if err := checkRefName(update.Name); err != nil {
			return err
		}
		if seen[update.Name] {
			return fmt.Errorf("ref %s is updated twice in one write", update.Name)
		}
		seen[update.Name] = true
	}
	return nil
}

// checkLinks makes sure that refs and commits lead to objects that exist. Packs
// are listed anew: upkeep may have deleted one that is still in memory here.
func (r *Repository) checkLinks(b *Batch, updates []RefUpdate) error {
	if _, err := r.objects.refresh(); err != nil {
		return err
	}
	for _, update := range updates {
		if err := r.checkLink(b, update.New, update.Name); err != nil {
			return err
		}
	}
	if b == nil {
		return nil
	}
	for _, h := range b.order {
		o := b.objects[h]
		if o.kind != plumbing.CommitObject {
			continue
		}
		c, err := parseCommit(h, o.content)
		if err != nil {
			return err
		}
		for _, link := range append(c.Parents, c.Tree) {
			if err := r.checkLink(b, link, "commit "+h.String()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Repository) checkLink(b *Batch, h Hash, from string) error {
	if h.IsZero() || b.holds(h) {
		return nil
	}
	found, err := r.objects.has(h)
	if err == nil && !found {
		err = ErrObjectNotFound
	}
	if err != nil {
		return fmt.Errorf("%s would lead to %s: %w", from, h, err)
	}
	return nil
}
