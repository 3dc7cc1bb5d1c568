package app

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// spawn starts a server that ends when nothing is left to build. It belongs to no
// terminal and no connection: who pushed may go away.
func (h *pushed) spawn() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start a server: %w", err)
	}
	log, err := os.OpenFile(h.logFile(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("start a server: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(self, "hook", "serve", "--repo", h.repo.CommonDir(), "--executor", h.executor) //nolint:noctx // it outlives this process
	cmd.Env = h.c.environment()
	cmd.Dir = h.repo.CommonDir()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start a server: %w", err)
	}
	return cmd.Process.Release()
}

// environment is this process' without git's variables, which are about the push.
func (c *cli) environment() []string {
	var env []string
	for name, value := range c.env {
		if !strings.HasPrefix(name, "GIT_") {
			env = append(env, name+"="+value)
		}
	}
	return env
}
