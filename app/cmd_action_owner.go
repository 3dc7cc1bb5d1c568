package app

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// defaultSocket is where an engine listens unless DOCKER_HOST says otherwise.
const defaultSocket = "/var/run/docker.sock"

// engineSocket is the socket of the engine; "" if it is not on this machine.
func engineSocket(env map[string]string) string {
	host := env["DOCKER_HOST"]
	if host == "" {
		return defaultSocket
	}
	socket, _ := strings.CutPrefix(host, "unix://")
	if socket == host {
		return ""
	}
	return socket
}

// continueAsOwner makes this process one of the workspace's owner, who may use the
// engine: GitHub runs Docker actions as root, and what root leaves behind the next
// steps of the job could not change. Only root can and must; all threads change.
// What the process was given in its environment stays closed to the steps it runs,
// which are the same user's.
func continueAsOwner(workspace, socket string) error {
	info, err := os.Stat(workspace)
	if err != nil {
		return usage("find the workspace: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if os.Geteuid() == 0 && ok && owner.Uid != 0 {
		if err := become(int(owner.Uid), int(owner.Gid), socket); err != nil {
			return fmt.Errorf("continue as the owner of %s: %w", workspace, err)
		}
	}
	return closeEnvironment()
}

// become changes the user, with the group of the engine's socket besides the own.
func become(uid, gid int, socket string) error {
	groups := []int{gid}
	if info, err := os.Stat(socket); err == nil {
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			groups = append(groups, int(s.Gid))
		}
	}
	if err := syscall.Setgroups(groups); err != nil {
		return err
	}
	if err := syscall.Setgid(gid); err != nil {
		return err
	}
	return syscall.Setuid(uid)
}

// withoutStep is c without what the runner gives the step and nobody else: inputs,
// tokens and the files that speak to it. git takes repositories in the workspace for
// safe, as the runner does, whoever owns their folders.
func (c *cli) withoutStep(workspace string) (*cli, error) {
	inner := *c
	inner.env = maps.Clone(c.env)
	for name := range c.env {
		if !ofStep(name) {
			continue
		}
		delete(inner.env, name)
		if err := os.Unsetenv(name); err != nil {
			return nil, fmt.Errorf("keep %s from programs: %w", name, err)
		}
	}
	workspace, err := filepath.EvalSymlinks(workspace)
	if err != nil {
		return nil, fmt.Errorf("find the workspace: %w", err)
	}
	for name, value := range map[string]string{
		"GIT_CONFIG_COUNT": "2",
		"GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": workspace,
		"GIT_CONFIG_KEY_1": "safe.directory", "GIT_CONFIG_VALUE_1": workspace + "/*",
	} {
		if err := os.Setenv(name, value); err != nil {
			return nil, fmt.Errorf("tell git of the workspace: %w", err)
		}
	}
	return &inner, nil
}

// ofStep reports whether a variable is the step's own. The facts about the workflow
// are among them: a pipeline is to do the same here as anywhere else.
func ofStep(name string) bool {
	for _, prefix := range []string{"INPUT_", "GITHUB_", "ACTIONS_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return name == "GH_TOKEN"
}
