package docker

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/client"

	"github.com/velocity-ci/velocity/builder/executor"
)

// killTime is how long the engine may take to end a container by KILL.
const killTime = 5 * time.Second

// patience is how long a container may seem to run after its last byte. Its init
// keeps both streams open to the end, so only an engine that lost the output
// (it was restarted under a running container) takes longer.
const patience = 30 * time.Second

var (
	errStillRuns = errors.New("it still runs")
	errCutShort  = errors.New("the engine ended it before the container")
)

// A box is one container between its making and its removal.
type box struct {
	api      *client.Client
	name     string
	patience time.Duration
}

// run starts the container and stays with it until it ended and its output was
// copied. If ctx ends first, or a writer fails, the container is stopped, and
// its exit status comes with that error.
func (b *box) run(ctx context.Context, out *output, cmd executor.Command) (exit int, err error) {
	// Attached before it starts, so that no first byte can be missed.
	stream, err := b.attach(ctx)
	if err != nil {
		return 0, canceledOr(ctx, broke("attach to container", err))
	}
	defer stream.Close()
	if err := b.api.ContainerStart(ctx, b.name, container.StartOptions{}); err != nil {
		return 0, canceledOr(ctx, startError(cmd.Image, err))
	}
	return b.stay(ctx, out, stream, cmd)
}

// stay copies the output of a container that was started from stream, until both
// have ended; see run.
func (b *box) stay(ctx context.Context, out *output, stream io.ReadCloser, cmd executor.Command) (exit int, err error) {
	end, forget := b.watch(ctx)
	defer forget()
	out.copy(stream)

	cut := b.await(ctx, out, end)
	if cut != nil {
		if err := b.stop(ctx, cmd.Grace, end); err != nil {
			stream.Close()
			<-out.done
			return 0, errors.Join(cut, err)
		}
	}
	out.drain(ctx, stream, end.err != nil)
	if cut == nil && out.err != nil {
		cut = broke("copy output", out.err)
	}
	return end.exit, errors.Join(cut, end.err)
}

// await returns nil once the container came to its own end, and otherwise why it
// must be stopped.
func (b *box) await(ctx context.Context, out *output, end *watch) error {
	select {
	case <-end.done:
		return nil
	case <-out.failed:
		return broke("copy output", out.err)
	case <-ctx.Done():
		return canceled(ctx)
	case <-out.done:
	}
	soon, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	if end.within(soon) {
		return nil
	}
	return canceledOr(ctx, broke("copy output", errCutShort))
}

// stop asks the container to end (TERM) and after grace makes it (KILL).
func (b *box) stop(ctx context.Context, grace time.Duration, end *watch) error {
	ctx = context.WithoutCancel(ctx)
	gentle, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if b.api.ContainerKill(gentle, b.name, "TERM") == nil && end.within(gentle) {
		return nil
	}
	hard, cancel := context.WithTimeout(ctx, killTime)
	defer cancel()
	err := b.api.ContainerKill(hard, b.name, "KILL")
	if end.within(hard) {
		return nil // an error then only said that it had ended before
	}
	return broke("stop container", errors.Join(errStillRuns, err))
}

// A watch learns how a container ends. Its fields are set once done is closed.
type watch struct {
	done chan struct{}
	exit int
	err  error
}

// watch waits for the container on a connection that outlives ctx: a container
// that is being canceled still comes to an end. forget ends the waiting.
func (b *box) watch(ctx context.Context) (end *watch, forget func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	end = &watch{done: make(chan struct{})}
	go func() {
		defer close(end.done)
		// Not running rather than next exit: it may have exited already.
		exits, errs := b.api.ContainerWait(ctx, b.name, container.WaitConditionNotRunning)
		select {
		case exit := <-exits:
			end.exit = int(exit.StatusCode)
		case err := <-errs:
			end.err = broke("wait for container", err)
		}
	}()
	return end, func() { cancel(); <-end.done }
}

// within reports whether the container came to its end before ctx did.
func (w *watch) within(ctx context.Context) bool {
	select {
	case <-w.done:
		return true
	case <-ctx.Done():
		return false
	}
}
