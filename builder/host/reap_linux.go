package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// reapRounds bounds the hunt for processes that multiply while they are
	// being killed.
	reapRounds = 16

	// reapWait is how long one killed process may take to end, in milliseconds.
	reapWait = 1000
)

// Reap kills what is left of earlier processes of the builder, and what this
// process did not manage to end itself, and returns how many processes it killed.
// It spares the attempts whose owners running knows, which are this process' own,
// and those of another process of the same name that is alive.
func (e *Executor) Reap(ctx context.Context, running func(owner string) bool) (int, error) {
	killed := 0
	for range reapRounds {
		found := leftovers(e.Builder, running)
		if len(found) == 0 {
			return killed, nil
		}
		for _, p := range found {
			if err := ctx.Err(); err != nil {
				return killed, fmt.Errorf("reap processes of %s: %w", e.Builder, err)
			}
			if killExactly(p) {
				killed++
			}
		}
	}
	return killed, fmt.Errorf("reap processes of %s: they multiply faster than they can be killed", e.Builder)
}

func leftovers(builder string, spared func(owner string) bool) []process {
	var found []process
	for _, pid := range allProcesses() {
		if pid == os.Getpid() {
			continue
		}
		marks := process{pid: pid}.marks()
		if !anyLeft(marks, builder, spared) {
			continue
		}
		if p, err := readProcess(pid); err == nil {
			found = append(found, p)
		}
	}
	return found
}

// anyLeft reports whether one of a process' marks is of a builder that is dead,
// or of an attempt of this process that has ended.
func anyLeft(marks []string, builder string, spared func(owner string) bool) bool {
	for _, word := range marks {
		b, owner, starter, ok := parseMark(word)
		if !ok || b != builder {
			continue
		}
		if starter == self() {
			if !spared(owner) {
				return true
			}
			continue
		}
		pid, _, _ := strings.Cut(starter, ".")
		if n, err := strconv.Atoi(pid); err == nil && lasting(n) != starter {
			return true
		}
	}
	return false
}

// killExactly kills p, not whatever has its id by now, and waits for its end.
func killExactly(p process) bool {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if errors.Is(err, unix.ENOSYS) {
		return unix.Kill(p.pid, unix.SIGKILL) == nil
	}
	if err != nil {
		return false // it has ended
	}
	defer unix.Close(fd)
	if now, err := readProcess(p.pid); err != nil || now.start != p.start {
		return false
	}
	if unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) != nil {
		return false
	}
	_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, reapWait)
	return err == nil || errors.Is(err, unix.EINTR)
}
