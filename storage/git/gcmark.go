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

// gcMark is the name of the mark, a file with a process id and a host name that
// git puts in place by way of gc.pid.lock (git, builtin/gc.c, lock_repo_for_gc).
const gcMark = "gc.pid"

// markGC says, in the way of git's own gc, that one is at work: git begins none
// meanwhile, as ours begins nothing while git's mark is there. Each would trip over
// what the other drops. busy means that a gc is at work. The caller holds the lock
// of upkeep.
//
// It takes no gc.pid.lock: one that a power cut left would keep git from its gc for
// ever. A mark that is left is of a process that is gone, and git knows that.
func (r *Repository) markGC() (unmark func() error, busy bool, err error) {
	mark := filepath.Join(r.commonDir, gcMark)
	host, err := os.Hostname()
	if err != nil {
		return nil, false, err
	}
	if atWork(mark, host) {
		return nil, true, nil
	}
	content := fmt.Appendf(nil, "%d %s", os.Getpid(), host)
	if there, err := r.putMark(mark, content); there || err != nil {
		return nil, there, err
	}
	unmark = func() error {
		if now, err := os.ReadFile(mark); err != nil || !bytes.Equal(now, content) {
			return err // somebody took it for that of a dead process
		}
		return r.disk.remove(mark)
	}
	_, err = os.Stat(mark + ".lock")
	if err == nil && !older(mark+".lock", gcLockLimit) { // git looked before our mark was there
		return nil, true, unmark()
	}
	return unmark, false, nil
}

// putMark puts a mark in place of that of a dead process, whole, and reports
// whether somebody else was faster.
func (r *Repository) putMark(mark string, content []byte) (there bool, err error) {
	temp := mark + ".velocity"
	if err := errors.Join(r.disk.remove(temp), r.disk.remove(mark)); err != nil {
		return false, err
	}
	if err := r.disk.write(temp, content, 0o666); err != nil {
		return false, err
	}
	err = os.Link(temp, mark)
	if errors.Is(err, fs.ErrExist) {
		there, err = true, nil
	}
	return there, errors.Join(err, r.disk.remove(temp))
}

// gcLockLimit is the age at which the lock of the mark, which git holds for a
// moment, is taken for one that was left behind.
const gcLockLimit = time.Minute

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
			return nil, fmt.Errorf("wait for git gc (%s): %w", filepath.Join(r.commonDir, gcMark), err)
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
