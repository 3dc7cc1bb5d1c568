package builder

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
)

// A reporter tells the architect how one attempt goes, beside the attempt's work
// and never in its way. It ends when the result was taken, or with its context,
// or when nobody waits for the attempt any more; then it calls stale.
type reporter struct {
	to      Architect
	attempt dispatch.Attempt
	base    string // path of the log without its endings
	pace    pace
	log     *slog.Logger
	stale   func()

	more     chan struct{} // the log has grown
	complete chan struct{} // closed: the log grows no more
	moved    chan struct{} // steps has changed
	loops    sync.WaitGroup
	quiet    context.CancelFunc // ends the progress messages
	late     atomic.Pointer[func() bool]

	mu        sync.Mutex
	steps     []build.Step
	published int           // how many states of steps
	heard     int           // the newest that was taken
	news      chan struct{} // closed, and made anew: heard has changed
}

func newReporter(to Architect, a dispatch.Attempt, base string, p pace, log *slog.Logger) *reporter {
	return &reporter{
		to: to, attempt: a, base: base, pace: p, log: log,
		more: make(chan struct{}, 1), complete: make(chan struct{}), moved: make(chan struct{}, 1),
		news: make(chan struct{}),
	}
}

func (r *reporter) textPath() string  { return r.base + ".txt" }
func (r *reporter) timesPath() string { return r.base + ".times" }

// start sends the log, whose length is size, and the progress from now on.
func (r *reporter) start(ctx context.Context, size *atomic.Int64) {
	progress, quiet := context.WithCancel(ctx)
	r.quiet = quiet
	r.loops.Go(func() { r.sendProgress(progress) })
	r.loops.Go(func() { r.sendText(ctx, size) })
}

// grown says that the log has grown. It returns at once.
func (r *reporter) grown() { wake(r.more) }

// publish says where the steps are. It returns at once; of several states only
// the newest may be sent.
func (r *reporter) publish(steps []build.Step) {
	r.mu.Lock()
	r.steps = append(r.steps[:0], steps...)
	r.published++
	r.mu.Unlock()
	wake(r.moved)
}

func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // it will be seen anyway
	}
}

func (r *reporter) sendProgress(ctx context.Context) {
	for {
		select {
		case <-r.moved:
		case <-ctx.Done():
			return
		}
		n := 0
		err := r.insist(ctx, func(ctx context.Context) error {
			r.mu.Lock()
			n = r.published
			p := dispatch.Progress{Attempt: r.attempt, Steps: slices.Clone(r.steps)}
			r.mu.Unlock()
			return r.to.Step(ctx, p)
		})
		if err != nil {
			return
		}
		r.took(n)
	}
}

// errTooLate ends a report that was not heard in all the time it had.
var errTooLate = errors.New("the architect did not take it in time, it is given up")

// giveUp ends the report at a time of the clock now.
func (r *reporter) giveUp(now func() time.Time, at time.Time) {
	late := func() bool { return !now().Before(at) }
	r.late.Store(&late)
}

// over returns why nothing more is said, or nil.
func (r *reporter) over(ctx context.Context) error {
	if late := r.late.Load(); late != nil && (*late)() {
		return errTooLate
	}
	return context.Cause(ctx)
}

// finish sends what is left of the log and then the result. The log must be
// complete. It ends all that start began, and reports like deliver.
func (r *reporter) finish(ctx context.Context, result dispatch.Result) (settled bool) {
	close(r.complete)
	r.quiet() // the result says it all
	r.loops.Wait()
	r.send(ctx, dispatch.TimesFile, r.timesPath(), result.Times)
	return r.end(ctx, result)
}

// deliver sends the log and the result of an attempt that ended in an earlier
// process. It reports whether nobody will ask for them again: they were taken,
// are not wanted, or it is too late.
func (r *reporter) deliver(ctx context.Context, result dispatch.Result) (settled bool) {
	r.send(ctx, dispatch.TextFile, r.textPath(), result.Log.Bytes)
	r.send(ctx, dispatch.TimesFile, r.timesPath(), result.Times)
	return r.end(ctx, result)
}

// end repeats the result until it is taken. An architect that does not take it
// may have lost its copy of the log, or found it damaged: it gets that again.
func (r *reporter) end(ctx context.Context, result dispatch.Result) (settled bool) {
	wait := r.pace.backoff()
	err := r.over(ctx)
	for err == nil {
		err = r.ask(ctx, func(ctx context.Context) error { return r.to.End(ctx, result) })
		if err == nil {
			return true
		}
		if errors.Is(err, dispatch.ErrStale) {
			break
		}
		if wait(ctx) == nil {
			r.send(ctx, dispatch.TextFile, r.textPath(), result.Log.Bytes)
			r.send(ctx, dispatch.TimesFile, r.timesPath(), result.Times)
		}
		if over := r.over(ctx); over != nil {
			err = errors.Join(err, over)
			break
		}
		err = nil
	}
	r.log.Warn("result was not taken", slog.Any("error", err))
	return errors.Is(err, dispatch.ErrStale) || errors.Is(err, errTooLate)
}

// ask asks once.
func (r *reporter) ask(ctx context.Context, ask func(context.Context) error) error {
	one, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	err := ask(one)
	if errors.Is(err, dispatch.ErrStale) {
		r.stale()
	}
	return err
}

// insist asks until there is an answer, or nobody waits for it.
func (r *reporter) insist(ctx context.Context, ask func(context.Context) error) error {
	wait := r.pace.backoff()
	for tries := 1; ; tries++ {
		if err := r.over(ctx); err != nil {
			return err
		}
		err := r.ask(ctx, ask)
		if err == nil || errors.Is(err, dispatch.ErrStale) {
			return err
		}
		if tries == 1 && ctx.Err() == nil {
			r.log.Warn("architect does not answer, asking again", slog.Any("error", err))
		}
		if err := wait(ctx); err != nil {
			return err
		}
	}
}
