package docker

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/docker/go-units"

	"github.com/velocity-ci/velocity/builder/executor"
)

// endingTime bounds each call that must still be made when the step's own
// context may be over: an engine that hangs must not hold the builder's slot.
const endingTime = 10 * time.Second

// Run runs cmd in a new container and returns once its last byte was written
// and the container is gone. A slow writer slows the command down, once 32 MiB
// are held for it; if it then stalls for two seconds just as the command ends,
// the engine drops up to 64 KiB of each stream's end (see lookahead).
//
// Errors: a *executor.StartError if the command never ran; one wrapping
// executor.ErrEngine if the engine broke; the context's cause if ctx ended
// first, with the exit status the command then came to. A command that ended by
// itself is no error, whatever its exit status.
func (e *Executor) Run(ctx context.Context, cmd executor.Command) (executor.Result, error) {
	if len(cmd.Services) > 0 {
		return e.runBeside(ctx, cmd)
	}
	s, err := e.newSpec(ctx, cmd)
	if err != nil {
		return executor.Result{}, canceledOr(ctx, err)
	}
	b := &box{api: e.api, name: containerName(), patience: e.patience}
	if err := e.create(ctx, b.name, s, cmd.Pull); err != nil {
		if ctx.Err() != nil {
			e.remove(ctx, b, cmd.Owner) // the engine may have made it all the same
		}
		return executor.Result{}, canceledOr(ctx, err)
	}
	defer e.remove(ctx, b, cmd.Owner)
	if cmd.Begin != nil {
		if err := cmd.Begin(b.name); err != nil {
			return executor.Result{}, broke("note the container", err)
		}
	}
	out := newOutput(cmd.Stdout, cmd.Stderr)
	exit, err := b.run(ctx, out, cmd)
	if err != nil {
		return executor.Result{Exit: exit}, err
	}
	return e.judge(ctx, b, out, cmd, exit)
}

// canceledOr returns why ctx ended, if it did, and otherwise err: that a call
// was cut short says less.
func canceledOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return canceled(ctx)
	}
	return err
}

func canceled(ctx context.Context) error {
	return fmt.Errorf("container stopped: %w", context.Cause(ctx))
}

// judge makes a result of an exit status, telling a command's own end from an
// engine that goes down, an init that found no command and a lack of memory.
func (e *Executor) judge(ctx context.Context, b *box, out *output, cmd executor.Command, exit int) (executor.Result, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endingTime)
	defer cancel()
	if err := e.stillListening(ctx); err != nil {
		return executor.Result{}, broke("container ended while the engine goes down", err)
	}
	end, err := e.api.ContainerInspect(ctx, b.name)
	if err != nil {
		return executor.Result{}, broke("inspect container", err)
	}
	if reason, ok := out.initFailure(cmd.Argv[0]); ok && exit != 0 {
		return executor.Result{}, &executor.StartError{
			What: fmt.Sprintf("command %q did not start in image %q: %s", cmd.Argv[0], cmd.Image, reason),
			Hint: "check its spelling, or name an image that has it",
		}
	}
	if end.State.OOMKilled && exit != 0 {
		if err := e.sayOutOfMemory(cmd.Stderr); err != nil {
			return executor.Result{}, broke("copy output", err)
		}
	}
	return executor.Result{Exit: exit, Image: end.Image}, nil
}

// stillListening dials the engine anew. One that shuts down first closes its
// socket and then stops its containers, which would look like steps that failed,
// or passed if they end well on TERM; connections from before live on until it
// is gone.
func (e *Executor) stillListening(ctx context.Context) error {
	conn, err := e.api.Dialer()(ctx)
	if err != nil {
		return err
	}
	return conn.Close()
}

// sayOutOfMemory leaves the reason where the step's author looks for it: exit
// status 137 alone could be anybody's KILL.
func (e *Executor) sayOutOfMemory(w io.Writer) error {
	limit := "the machine's memory"
	if e.limits.Memory > 0 {
		limit = "its limit of " + units.BytesSize(float64(e.limits.Memory))
	}
	_, err := fmt.Fprintf(w, "[velocity: out of memory: the step reached %s]\n", limit)
	return err
}

// remove deletes the container with its anonymous volumes. What it cannot
// delete now is left to Reap.
func (e *Executor) remove(ctx context.Context, b *box, owner executor.Owner) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endingTime)
	defer cancel()
	if err := removeContainer(ctx, e.api, b.name); err != nil {
		e.log.Warn("container left behind", slog.String("container", b.name),
			slog.String("owner", owner.String()), slog.Any("error", err))
	}
}
