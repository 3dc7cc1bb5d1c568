// Package session runs commands in sessions of their own, where they find no terminal
// to ask on, and knows which there are. Whoever adopts the orphans of other processes,
// as a process does that runs steps on its machine, must neither end nor reap these.
package session

import (
	"os/exec"
	"sync"
	"syscall"
)

var own = struct {
	sync.Mutex
	leaders map[int]bool // process ids
}{leaders: map[int]bool{}}

// Run is [exec.Cmd.Run] of a command that leads a new session.
func Run(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := start(cmd); err != nil {
		return err
	}
	defer forget(cmd.Process.Pid)
	return cmd.Wait()
}

// start holds the lock, so that whoever looks at children knows whose they are.
func start(cmd *exec.Cmd) error {
	own.Lock()
	defer own.Unlock()
	if err := cmd.Start(); err != nil {
		return err
	}
	own.leaders[cmd.Process.Pid] = true
	return nil
}

func forget(leader int) {
	own.Lock()
	defer own.Unlock()
	delete(own.leaders, leader)
}

// Look calls look, during which Run starts nothing. own reports whether a child of this
// process is a command that Run started and waits for.
func Look(look func(own func(pid int) bool)) {
	own.Lock()
	defer own.Unlock()
	look(func(pid int) bool { return own.leaders[pid] })
}
