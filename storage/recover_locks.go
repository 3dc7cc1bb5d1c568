package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A lock file of a ref that is this old has no owner any more. Nobody but the
// writer holds one of ours for longer than a moment: those who accept a trigger,
// and git when it packs refs.
const (
	staleLock = 10 * time.Second
	deadLock  = time.Second // when the last writer died: this one waits for it
)

// outwaitLocks waits until the locks that are there now are old enough to be
// removed, so that the first write does not run into one.
func (l *Ledger) outwaitLocks(ctx context.Context) error {
	newest, err := l.newestLock()
	if err != nil || newest.IsZero() {
		return err
	}
	const clocks = 20 * time.Millisecond // a file system's clock lags a little
	timer := time.NewTimer(min(newest.Add(deadLock).Sub(l.now()), deadLock) + clocks)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// newestLock is the time of the youngest lock that may be in our way; zero if
// there is none.
func (l *Ledger) newestLock() (newest time.Time, err error) {
	note := func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".lock") {
			return err
		}
		if info, err := os.Stat(path); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
		return nil
	}
	for _, path := range []string{RefPrefix, NotesRef + ".lock", "packed-refs.lock"} {
		if err := filepath.WalkDir(filepath.Join(l.repo.CommonDir(), path), note); err != nil {
			return newest, fmt.Errorf("look for locks: %w", err)
		}
	}
	return newest, nil
}
