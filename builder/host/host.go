// Package host runs one step in one process group on this machine.
//
// A step gets a session of its own, /dev/null as stdin, and only the environment
// it is given. When its first process ends or the step is canceled, everything
// it started is asked to end (TERM), and made to (KILL) after a time of grace.
// On Linux that includes what left the process group or the session: orphans are
// adopted by this process (PR_SET_CHILD_SUBREAPER) and told apart by a mark in
// their environment. Elsewhere it is the process group alone.
//
// For that to be safe, nothing else in this process may start children in sessions
// of their own but package session, whose are left alone, as are children in the
// session of this process.
//
// None of this is a boundary: a step can do whatever the user can whom this
// process runs as. Foreign code belongs into a container.
package host

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"github.com/velocity-ci/velocity/builder/executor"
)

// An Executor runs commands on this machine. It is safe for concurrent use.
type Executor struct {
	// Builder is the name by which Reap knows what this builder started. It is
	// the one in the owners of its commands.
	Builder string

	// Base is what a step sees of the builder's environment, as "NAME=value":
	// nothing is taken from it that is not in here. Without a PATH the usual
	// directories are used. Without a HOME, HOME and TMPDIR become directories
	// of the workspace's own (see Scratch), so that no step finds what another
	// one left, caches included; with a HOME, as suits a developer who runs their
	// own steps, TMPDIR is left as it is. A VELOCITY_ATTEMPT stays in front of the
	// step's own, so that whoever runs this process finds its steps too.
	Base []string
}

// Run runs c to its end and returns how it ended, once all its processes are
// gone and all their output has been passed on.
//
// A command that could not be started gives an *executor.StartError, broken
// machinery (no process to be had, output that cannot be written) an error that
// is executor.ErrEngine. If ctx ends first, the error is context.Cause(ctx), and
// the Result is what the canceled command made of it.
func (e *Executor) Run(ctx context.Context, c executor.Command) (executor.Result, error) {
	if ctx.Err() != nil {
		return executor.Result{}, context.Cause(ctx)
	}
	env, mark, err := e.environment(c)
	if err != nil {
		return executor.Result{}, err
	}
	cmd, err := command(c, env)
	if err != nil {
		return executor.Result{}, err
	}
	out, err := newOutput(c.Stdout, c.Stderr)
	if err != nil {
		return executor.Result{}, fmt.Errorf("%w: make pipes: %w", executor.ErrEngine, err)
	}
	cmd.Stdout, cmd.Stderr = out.ends()
	g, err := start(cmd, mark)
	out.begin()
	if err != nil {
		return executor.Result{}, errors.Join(startError(cmd, err), out.finish())
	}
	canceled, err := finish(ctx, cmd, g, c.Grace)
	if outErr := out.finish(); outErr != nil {
		err = errors.Join(err, fmt.Errorf("%w: pass on output: %w", executor.ErrEngine, outErr))
	}
	if canceled != nil {
		err = errors.Join(canceled, err)
	}
	return executor.Result{Exit: exitCode(cmd)}, err
}

// command makes c ready to be started.
func command(c executor.Command, env []string) (*exec.Cmd, error) {
	if err := wellFormed(c); err != nil {
		return nil, err
	}
	dir, err := workingDir(c)
	if err != nil {
		return nil, err
	}
	path, err := lookUp(c.Argv[0], dir, value(env, "PATH"))
	if err != nil {
		return nil, err
	}
	return &exec.Cmd{Path: path, Args: c.Argv, Env: env, Dir: dir, SysProcAttr: &syscall.SysProcAttr{Setsid: true}}, nil
}

// finish waits for the command to end, or ends it when ctx does, and then ends
// what it left behind. It returns why the command was canceled, if it was.
func finish(ctx context.Context, cmd *exec.Cmd, g *group, grace time.Duration) (canceled, err error) {
	defer g.forget()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		g.wait(cmd)
	}()
	select {
	case <-ended:
		return nil, g.end(grace)
	case <-ctx.Done():
	}
	g.signal(syscall.SIGTERM)
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case <-ended:
		err = g.outlast(late.C)
	case <-late.C:
		g.signal(syscall.SIGKILL)
		<-ended
		err = g.kill()
	}
	return context.Cause(ctx), err
}

// exitCode is the exit status as a shell would tell it.
func exitCode(cmd *exec.Cmd) int {
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return cmd.ProcessState.ExitCode()
}
