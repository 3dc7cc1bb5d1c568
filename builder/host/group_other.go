//go:build !linux

package host

import (
	"os"
	"strconv"
	"syscall"
)

// adoptOrphans does nothing: only Linux lets a process adopt.
func adoptOrphans() {}

// widen does nothing: pipes have the size they have.
func widen(*os.File) {}

// alive reports whether the leader's process group still has members.
func (g *group) alive() bool { return syscall.Kill(-g.leader, 0) == nil }

func (g *group) signal(sig syscall.Signal) {
	_ = syscall.Kill(-g.leader, sig) // they may have ended by now
}

// self names this process among those that run now.
func self() string { return strconv.Itoa(os.Getpid()) }
