package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// gcLimit is the age at which git, too, takes the mark of a gc for that of one
// that died.
const gcLimit = 12 * time.Hour

// gcLockLimit is the age at which the lock of the mark, which git holds for a
// moment, is taken for one that was left behind.
const gcLockLimit = time.Minute

// markGC says, in the way of git's own gc, that one is at work: git begins none
// meanwhile, as ours begins nothing while git's mark is there. Each would trip over
// what the other drops. busy means that a gc is at work.
//
// The mark is the file gc.pid with a process id and a host name, put in place by
// way of gc.pid.lock (git, builtin/gc.c, lock_repo_for_gc).
func (r *Repository) markGC() (unmark func() error, busy bool, err error) {
	mark := filepath.Join(r.commonDir, "gc.pid")
	lock := mark + ".lock"
	host, err := os.Hostname()
	if err != nil {
		return nil, false, err
	}
	content := fmt.Appendf(nil, "%d %s", os.Getpid(), host)
	err = r.disk.write(lock, content, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return func() error { return nil }, !older(lock, gcLockLimit), nil
	}
	if err != nil {
		return nil, false, err
	}
	if atWork(mark, host) {
		return nil, true, r.disk.remove(lock)
	}
	if err := r.disk.rename(lock, mark); err != nil {
		return nil, false, errors.Join(err, os.Remove(lock))
	}
	return func() error {
		if now, err := os.ReadFile(mark); err != nil || !bytes.Equal(now, content) {
			return err // somebody took it for that of a dead process
		}
		return r.disk.remove(mark)
	}, false, nil
}

// gcPace is how often the mark of a gc is looked at: it gives no sign when it ends.
const gcPace = 100 * time.Millisecond

// waitGC marks our work as soon as no gc is at work.
func (r *Repository) waitGC(ctx context.Context) (unmark func() error, err error) {
	for {
		unmark, busy, err := r.markGC()
		if !busy || err != nil {
			return unmark, err
		}
		if err := r.sleep(ctx, gcPace); err != nil {
			return nil, fmt.Errorf("wait for git gc (%s): %w", filepath.Join(r.commonDir, "gc.pid"), err)
		}
	}
}

// atWork reports whether a mark is of a process that may still be there.
func atWork(mark, host string) bool {
	content, err := os.ReadFile(mark)
	if err != nil || older(mark, gcLimit) {
		return false
	}
	var pid int
	var where string
	if n, _ := fmt.Sscanf(string(content), "%d %s", &pid, &where); n < 2 {
		return false
	}
	if where != host {
		return true // who knows
	}
	err = syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

func older(path string, limit time.Duration) bool {
	info, err := os.Stat(path)
	return err == nil && time.Since(info.ModTime()) > limit
}
