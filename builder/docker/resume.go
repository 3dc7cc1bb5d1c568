package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/pkg/stdcopy"

	"github.com/velocity-ci/velocity/builder/executor"
)

// keptLog is the engine's form of a log that Resume can read: unlike the default,
// which turns bytes that are no UTF-8 into others, it keeps all bytes of lines up
// to maxKeptLine.
const keptLog = "local"

// keptSize bounds each of the two files in which the engine keeps a step's
// output. What no longer is in them cannot be resumed.
const keptSize = "64m"

// maxKeptLine is the length from which on the engine cuts lines; the newline at
// the end of such a line may be missing from what it returns.
const maxKeptLine = 16 << 10

// ErrCannotResume says that a container cannot be taken up again: it is gone,
// its end was not seen, or the engine's copy of its output is not exact.
var ErrCannotResume = fmt.Errorf("container cannot be taken up again: %w", executor.ErrEngine)

// logConfig says where the output is kept: by the builder alone, masked, unless
// the step shall outlive it. Then the engine's copy, which is not masked, lies
// beside the container's environment, as private as that, until the container is
// removed.
func logConfig(cmd executor.Command) container.LogConfig {
	if cmd.Begin == nil {
		return container.LogConfig{Type: "none"}
	}
	return container.LogConfig{Type: keptLog, Config: map[string]string{
		"max-size": keptSize, "max-file": "2", "compress": "false",
	}}
}

// Resume stays with the container that an earlier process began for the equal
// cmd, as Run would have: all it has printed since its start goes to the writers,
// and then what follows. It removes the container in the end. Its errors are
// those of Run, none of them a *executor.StartError before the container has
// ended, and ErrCannotResume.
func (e *Executor) Resume(ctx context.Context, name string, cmd executor.Command) (executor.Result, error) {
	b := &box{api: e.api, name: name, patience: e.patience}
	found, err := e.api.ContainerInspect(ctx, name)
	if err != nil {
		return executor.Result{}, canceledOr(ctx, cannot(err))
	}
	if owner := ownerOf(found.Config.Labels); owner != ownerOf(labels(e.builder, cmd.Owner)) {
		return executor.Result{}, cannot(fmt.Errorf("it belongs to %s", owner))
	}
	defer e.remove(ctx, b, cmd.Owner)
	if err := e.resumable(ctx, found); err != nil {
		return executor.Result{}, canceledOr(ctx, cannot(err))
	}
	// Like an attached stream, this one outlives ctx, and ends by being closed.
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	kept, err := e.api.ContainerLogs(reading, name, container.LogsOptions{ShowStdout: true, ShowStderr: true, Follow: true})
	if err != nil {
		return executor.Result{}, canceledOr(ctx, broke("read the container's log", err))
	}
	defer kept.Close()
	stdout, stderr := &exactly{w: cmd.Stdout}, &exactly{w: cmd.Stderr}
	out := newOutput(stdout, stderr)
	exit, err := b.stay(ctx, out, kept, cmd)
	if err == nil {
		err = b.rest(ctx, out, stdout.passed, stderr.passed)
	}
	if err != nil {
		return executor.Result{Exit: exit}, err
	}
	return e.judge(ctx, b, out, cmd, exit)
}

func cannot(err error) error { return fmt.Errorf("%w: %w", ErrCannotResume, err) }

// resumable returns nil if the container runs, or ended while this very engine
// watched it: one that went down in between would have ended it, too.
func (e *Executor) resumable(ctx context.Context, c container.InspectResponse) error {
	switch {
	case c.HostConfig.LogConfig.Type != keptLog:
		return errors.New("its output was not kept")
	case c.State.Running:
		return nil
	case c.State.Status == container.StateCreated:
		return errors.New("it was never started")
	}
	seen, err := e.actions(ctx, c)
	if err != nil {
		return err
	}
	if !seen[events.ActionStart] || !seen[events.ActionDie] {
		return errors.New("it ended, and the engine does not remember how")
	}
	return nil
}

// actions are what the engine remembers of a container until its end. It forgets
// all with its own end, and the older ones of many.
func (e *Executor) actions(ctx context.Context, c container.InspectResponse) (map[events.Action]bool, error) {
	created, err1 := time.Parse(time.RFC3339Nano, c.Created)
	ended, err2 := time.Parse(time.RFC3339Nano, c.State.FinishedAt)
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("read its times: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	told, errs := e.api.Events(ctx, events.ListOptions{
		Since: instant(created), Until: instant(ended.Add(toldWithin)), // the engine's own clock
		Filters: filters.NewArgs(filters.Arg("container", c.ID)),
	})
	seen := map[events.Action]bool{}
	for {
		select {
		case m := <-told:
			seen[m.Action] = true
			if seen[events.ActionStart] && seen[events.ActionDie] {
				return seen, nil
			}
		case err := <-errs:
			if errors.Is(err, io.EOF) {
				return seen, nil
			}
			return nil, fmt.Errorf("ask the engine what it remembers: %w", err)
		}
	}
}

// toldWithin is how soon after a container's end the engine says so, even on a
// machine that is very busy. Only an end that was not seen is waited for as long.
const toldWithin = 10 * time.Second

func instant(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }

// rest passes on what the streams hold beyond what was passed. Who follows a log
// may miss what the engine wrote last, such as an end without newline; once the
// container has ended its log is complete.
func (b *box) rest(ctx context.Context, out *output, stdout, stderr int64) error {
	kept, err := b.api.ContainerLogs(ctx, b.name, container.LogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		return canceledOr(ctx, broke("read the container's log", err))
	}
	defer kept.Close()
	more, moreErr := &beyond{w: stdoutOf{out}, skip: stdout}, &beyond{w: stderrOf{out}, skip: stderr}
	if _, err := stdcopy.StdCopy(more, moreErr, kept); err != nil {
		return canceledOr(ctx, broke("copy output", err))
	}
	if more.skip > 0 || moreErr.skip > 0 {
		return cannot(errors.New("it printed more than the engine keeps"))
	}
	return nil
}

// exactly refuses what the engine may have altered. It is given one frame, and so
// one line or piece of a line, at a time.
type exactly struct {
	w      io.Writer
	passed int64
}

func (e *exactly) Write(p []byte) (int, error) {
	if len(p) >= maxKeptLine && p[len(p)-1] != '\n' {
		return 0, cannot(fmt.Errorf("a line of %d bytes or more, of which the engine keeps no exact copy", maxKeptLine))
	}
	n, err := e.w.Write(p)
	e.passed += int64(n)
	return n, err
}

// beyond drops the first bytes it is given.
type beyond struct {
	w    io.Writer
	skip int64
}

func (b *beyond) Write(p []byte) (int, error) {
	dropped := min(b.skip, int64(len(p)))
	b.skip -= dropped
	if dropped == int64(len(p)) {
		return len(p), nil
	}
	n, err := b.w.Write(p[dropped:])
	return n + int(dropped), err
}
