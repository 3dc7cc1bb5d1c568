package app

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// spawn starts a server that ends when nothing is left to build. It belongs to no
// terminal and no connection: who pushed may go away. How it ended is sent, with
// its last words, to whom is still there.
func (h *pushed) spawn() (ended <-chan error, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start a server: %w", err)
	}
	log, err := h.repo.OpenShared(h.logFile(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start a server: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(self, "hook", "serve", "--repo", h.repo.CommonDir(), "--executor", h.executor) //nolint:noctx // it outlives this process
	cmd.Env = h.c.environment()
	cmd.Dir = h.repo.CommonDir()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a server: %w", err)
	}
	end := make(chan error, 1)
	go func() {
		err := cmd.Wait()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, lastLine(h.logFile()))
		}
		end <- err
	}()
	return end, nil
}

// lastLine is the end of a log, for people.
func lastLine(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	text = bytes.TrimSpace(text)
	return string(bytes.TrimPrefix(text[bytes.LastIndexByte(text, '\n')+1:], []byte("velocity: ")))
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
