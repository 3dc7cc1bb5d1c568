package compose

import (
	"bytes"
	"context"
	"errors"

	"github.com/velocity-ci/velocity/builder/executor"
)

// stopTime is how long services may take to end when the project does, in
// seconds, as the plugin is told.
const stopTime = "3"

var errOver = errors.New("the project is over")

// up runs the checked project.
func (r *run) up(ctx context.Context) (executor.Result, error) {
	out := newOutput(r.checked.containers, r.project)
	over, end := context.WithCancelCause(ctx)
	defer end(nil)
	watching, stop := context.WithCancel(over)
	deaths := r.Engine.Deaths(watching, r.project.Owner)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		r.watch(watching, deaths, end)
	}()
	result, err := r.Processes.Run(over, r.command(out.stdout, out.stderr,
		"--project-name="+projectName(r.project.Owner), "--project-directory="+r.dir, "--env-file=/dev/null",
		"--file="+r.path("project.json"), "--ansi=never", "--progress=plain",
		"up", "--timeout="+stopTime, "--quiet-pull",
	))
	stop()
	<-watched
	out.close()
	switch {
	case ctx.Err() != nil:
		return executor.Result{}, context.Cause(ctx)
	case err != nil && !errors.Is(context.Cause(over), errOver):
		return executor.Result{}, err
	}
	return r.judge(ctx, result, context.Cause(over))
}

// watch ends the project once its result is known.
func (r *run) watch(ctx context.Context, deaths <-chan struct{}, end context.CancelCauseFunc) {
	for range deaths {
		all, err := r.Engine.Containers(ctx, r.project.Owner)
		if err != nil {
			continue // the plugin will notice an engine in trouble, too
		}
		if exit, known := r.known(all); known {
			end(&ending{exit: exit})
			return
		}
	}
}

// An ending is a result that is known while other services still run.
type ending struct{ exit int }

func (*ending) Error() string        { return errOver.Error() }
func (*ending) Is(target error) bool { return target == errOver }

// known tells the result as soon as nothing can change it: the exit status of the
// service that counts, or the first that is not zero.
func (r *run) known(all []executor.Container) (exit int, known bool) {
	ended := 0
	for _, c := range all {
		counts := r.project.Service == "" || c.Service == r.project.Service
		if !counts || !c.Ended {
			continue
		}
		if c.Exit != 0 {
			return c.Exit, true
		}
		ended++
	}
	return 0, r.project.Service != "" && ended == r.checked.services[r.project.Service]
}

// judge makes a result of how the plugin ended.
func (r *run) judge(ctx context.Context, plugin executor.Result, cause error) (executor.Result, error) {
	var early *ending
	if errors.As(cause, &early) {
		return executor.Result{Exit: early.exit}, nil
	}
	all, err := r.Engine.Containers(ctx, r.project.Owner)
	if err != nil {
		return executor.Result{}, broke("ask how services ended", err)
	}
	if exit, known := r.known(all); known {
		return executor.Result{Exit: exit}, nil
	}
	if plugin.Exit == 0 && !r.finished(all) {
		return executor.Result{}, broke("run the project", errors.New("docker compose ended before its services"))
	}
	return executor.Result{Exit: plugin.Exit}, nil
}

// finished reports whether every container that counts has come to its end.
func (r *run) finished(all []executor.Container) bool {
	ended := map[string]int{}
	for _, c := range all {
		if c.Ended {
			ended[c.Service]++
		}
	}
	for service, n := range r.checked.services {
		if (r.project.Service == "" || service == r.project.Service) && ended[service] < n {
			return false
		}
	}
	return true
}

// bounded keeps the first bytes that are written to it.
type bounded struct {
	bytes.Buffer
	most int
	cut  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	n := min(len(p), b.most-b.Len())
	b.cut = b.cut || n < len(p)
	_, _ = b.Buffer.Write(p[:n])
	return len(p), nil
}
