package storage

import (
	"errors"
	"fmt"
	"os"
)

// errLockGone means that the writer lock's file was removed or replaced.
var errLockGone = errors.New("the file of its lock was removed: another process could record here, too")

// Held returns nil as long as nobody else can record here: the file of the lock is
// the one that is held.
func (l *Ledger) Held() error {
	held, err := l.lock.file.Stat()
	if err != nil {
		return fmt.Errorf("look at the lock: %w", err)
	}
	there, err := os.Stat(l.lockPath())
	if errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(held, there) {
		return errLockGone
	}
	if err != nil {
		return fmt.Errorf("look at the lock: %w", err)
	}
	return nil
}
