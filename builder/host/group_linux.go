package host

import (
	"os"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/velocity-ci/velocity/storage/git/session"
)

// adoptOrphans makes this process the parent of every process below it whose
// own parent ends. Where the kernel refuses, such orphans stay until Reap.
var adoptOrphans = sync.OnceFunc(func() {
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
})

// widen makes a pipe hold more, so that a fast writer and its reader take turns
// less often. It is a matter of speed only: the kernel may refuse.
func widen(pipe *os.File) {
	if conn, err := pipe.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, outputBuffer) })
	}
}

// alive reports whether processes besides the leader are left.
func (g *group) alive() bool { return len(g.orphans()) > 0 }

// signal sends sig to the leader's process group and to the groups of what was
// orphaned. What is in neither has a parent that got the signal, and is our
// orphan once that has ended.
func (g *group) signal(sig syscall.Signal) {
	groups := make(map[int]bool)
	if g.led() {
		groups[g.leader] = true
	}
	for _, p := range g.orphans() {
		groups[p.group] = p.group > 1 // it is 0 in a namespace that does not know it
	}
	for id, ok := range groups {
		if ok {
			_ = syscall.Kill(-id, sig) // they may have ended by now
		}
	}
}

// orphans returns the children that this process adopted from the group. It
// reaps those that have ended, whosever they were.
func (g *group) orphans() []process {
	started.Lock()
	defer started.Unlock()
	var found []process
	session.Look(func(own func(pid int) bool) {
		for _, pid := range children() {
			p, err := readProcess(pid)
			switch {
			case err != nil || p.session == ownSession() || isLeader(pid) || own(pid):
			case p.state == 'Z':
				_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
			case p.ending || g.owns(p): // whose it was cannot be seen at its end, which is near
				found = append(found, p)
			}
		}
	})
	return found
}

var ownSession = sync.OnceValue(func() int {
	session, err := unix.Getsid(0)
	if err != nil {
		return 0
	}
	return session
})

func isLeader(pid int) bool {
	for g := range started.groups {
		if g.leader == pid && !g.headless {
			return true
		}
	}
	return false
}

// owns reports whether an orphan came of the group. Daemons that write their
// title over their environment (PostgreSQL, nginx) carry no mark any more: they
// belong to the only group there is, or else are left to the last one.
func (g *group) owns(p process) bool {
	if p.session == g.leader {
		return true
	}
	marks := p.marks()
	if slices.Contains(marks, g.mark) {
		return true
	}
	for other := range started.groups {
		if other != g && (p.session == other.leader || slices.Contains(marks, other.mark)) {
			return false
		}
	}
	return len(started.groups) == 1
}
