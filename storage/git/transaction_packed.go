package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// lockPacked takes git's lock on packed-refs, so that no pack-refs may copy a ref
// that is being deleted. It appears with our mark in it or not at all: a stale
// one must be told from git's.
func (t *transaction) lockPacked(ctx context.Context) error {
	path := filepath.Join(t.r.commonDir, packedRefsLock)
	temp, err := os.CreateTemp(filepath.Join(t.r.commonDir, ownFolder), lockTemp)
	if err != nil {
		return fmt.Errorf("lock packed refs: %w", err)
	}
	defer func() { _ = os.Remove(temp.Name()) }() // see StaleLocks
	err = errors.Join(t.r.disk.shared.apply(temp.Name()), t.r.disk.finish(temp, []byte(oursMark)))
	if err != nil {
		return fmt.Errorf("lock packed refs: %w", err)
	}
	err = t.r.untilFree(ctx, path, func() error {
		if err := t.r.disk.before("create", path); err != nil {
			return err
		}
		return os.Link(temp.Name(), path)
	})
	if err != nil {
		return fmt.Errorf("lock packed refs: %w", err)
	}
	t.packed = path
	return nil
}

// delete removes refs, first from packed-refs: a packed value left behind would
// come back to life with the loose file gone.
func (t *transaction) delete() error {
	names := make(map[string]bool)
	var folders []string
	for _, update := range t.updates {
		if update.deletes() {
			names[update.Name] = true
			folders = append(folders, filepath.Dir(t.path(update)))
		}
	}
	packed, err := t.r.readPackedRefs()
	if err != nil {
		return err
	}
	if content, changed := packed.without(names); changed {
		if err := t.r.disk.replace(filepath.Join(t.r.commonDir, "packed-refs"), content); err != nil {
			return err
		}
	}
	for _, update := range t.updates {
		if update.deletes() {
			if err := t.r.disk.remove(t.path(update)); err != nil {
				return err
			}
		}
	}
	return t.syncAll(folders)
}

// syncPacked is for refs that git has packed already and whose empty folder it
// has removed. By itself it makes neither durable.
func (t *transaction) syncPacked(folder string) error {
	packed := filepath.Join(t.r.commonDir, "packed-refs")
	if err := t.r.disk.syncPath(packed); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for ; folder != t.r.commonDir; folder = filepath.Dir(folder) {
		if err := t.r.disk.syncFolder(folder); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(err, t.r.disk.syncFolder(t.r.commonDir))
		}
	}
	return t.r.disk.syncFolder(folder)
}
