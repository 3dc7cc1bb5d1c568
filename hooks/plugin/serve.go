package plugin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/velocity-ci/velocity/builder/mask"
)

// opened is a plugin that is ready to be told of one build.
type opened struct {
	sender Sender
	mask   *mask.Masker
}

// Limits of durable writes: how long one may take whose cause has happened, and when
// one that failed is tried again.
const (
	keepWithin = 10 * time.Second
	keepAgain  = 5 * time.Second
)

// serve deals with the next event of a job, if there is one. What was dealt with has
// to be durable first: after a crash it would come behind what follows it.
func (r *Runner) serve(ctx context.Context, l *lane, j *job) {
	if j.unkept && !r.keep(ctx, j) {
		r.mu.Lock()
		defer r.mu.Unlock()
		j.pending, j.after = true, r.Now().Add(keepAgain)
		return
	}
	r.mu.Lock()
	p := j.progress
	r.mu.Unlock()
	e, n, over, err := r.at(ctx, j.tale, p.Done, j.plugin.Events)
	switch {
	case errors.Is(err, ErrGone):
		r.end(ctx, j)
	case err != nil:
		r.later(ctx, j, err)
	case over:
		r.conclude(ctx, j)
	case e != nil:
		r.deal(ctx, l, j, e, n)
	}
}

// deal sends an event, and settles what comes of it.
func (r *Runner) deal(ctx context.Context, l *lane, j *job, e *Event, n int) {
	if r.Now().Sub(e.Time) > maxAge && r.broken(l) {
		r.lose(ctx, j, e, n, fmt.Errorf("it was not reached for %s", maxAge))
		return
	}
	err := r.send(ctx, j, e)
	if ctx.Err() != nil {
		return // not the plugin's error, if it is one: the next process sends it again
	}
	var refused *RefusedError
	final := errors.As(err, &refused)
	now := r.Now()
	r.mu.Lock()
	if err == nil || final {
		l.failures, l.until = 0, time.Time{}
	} else {
		l.failed(now, r.Jitter())
	}
	r.mu.Unlock()
	switch {
	case err == nil:
		r.advance(ctx, j, Progress{Done: n + 1, Lost: j.progress.Lost})
	case final && j.opened == nil: // it is not run at all
		r.give(ctx, j, fmt.Sprintf("plugin %s is not run: %v", j.plugin.Called, err))
	case final || j.tries+1 >= maxTries || now.Sub(e.Time) > maxAge:
		r.lose(ctx, j, e, n, err)
	default:
		r.later(ctx, j, err)
	}
}

// broken reports whether a lane has failed so often that its breaker was open.
func (r *Runner) broken(l *lane) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return l.failures >= breakAfter
}

// send opens the plugin if it is not yet, and sends an event without secrets.
func (r *Runner) send(ctx context.Context, j *job, e *Event) error {
	ctx, cancel := context.WithTimeout(ctx, sendLimit)
	defer cancel()
	if j.opened == nil {
		sender, secrets, err := j.plugin.Open(ctx)
		if err != nil {
			return err
		}
		masker, err := maskerOf(secrets)
		if err != nil {
			return &RefusedError{err.Error()}
		}
		j.opened = &opened{sender, masker}
	}
	err := j.opened.sender.Send(ctx, e.masked(j.opened.mask.String))
	var refused *RefusedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return &RefusedError{j.opened.mask.String(refused.Why)}
	}
	return errors.New(j.opened.mask.String(err.Error())) // nobody branches on what it was
}

func maskerOf(secrets []string) (*mask.Masker, error) {
	named := map[string]string{}
	for i, s := range secrets {
		named[fmt.Sprint(i+1)] = s
	}
	return mask.New(named)
}

// later has a job tried again after a while.
func (r *Runner) later(ctx context.Context, j *job, err error) {
	if ctx.Err() != nil {
		return
	}
	r.chill(j.tale)
	r.Logger.Warn("plugin", "build", j.tale.id.String(), "plugin", j.plugin.Called, "try", j.tries+1, "err", err)
	r.mu.Lock()
	defer r.mu.Unlock()
	j.tries++
	j.after = r.Now().Add(backoff(firstWait, longWait, j.tries, 4, r.Jitter()))
	j.pending = true
	r.stats.Retries++
}

// lose gives an event up. The first that is lost of a build is a notice of it at
// once, and how many others were is said when the build is over.
func (r *Runner) lose(ctx context.Context, j *job, e *Event, n int, err error) {
	what := string(e.Data.Event)
	if t := e.Data.Task; t != nil {
		what += " of " + t.Name
	}
	if j.progress.Lost == 0 {
		text := fmt.Sprintf("plugin %s was not told of %s%s: %v", j.plugin.Called, what, tries(j.tries+1), err)
		if !r.notice(ctx, j, text) {
			return
		}
	}
	r.Logger.Warn("plugin gave up an event", "build", j.tale.id.String(), "plugin", j.plugin.Called, "event", e.ID, "err", err)
	r.mu.Lock()
	r.stats.Lost++
	r.mu.Unlock()
	r.advance(ctx, j, Progress{Done: n + 1, Lost: j.progress.Lost + 1})
}

// tries says how often something was tried, if that is worth a word.
func tries(n int) string {
	if n <= 1 {
		return ""
	}
	return fmt.Sprintf(" in %d tries", n)
}

// give gives up a plugin for a build.
func (r *Runner) give(ctx context.Context, j *job, text string) {
	if r.notice(ctx, j, text) {
		r.Logger.Warn("plugin gave up a build", "build", j.tale.id.String(), "notice", text)
		r.end(ctx, j)
	}
}

// conclude ends a job whose build is over.
func (r *Runner) conclude(ctx context.Context, j *job) {
	if more := j.progress.Lost - 1; more > 0 {
		text := fmt.Sprintf("plugin %s was not told of %d more of its events", j.plugin.Called, more)
		if !r.notice(ctx, j, text) {
			return
		}
	}
	r.end(ctx, j)
}

// notice reports whether a notice is durable, or the build is gone; else the job is
// tried again from there.
func (r *Runner) notice(ctx context.Context, j *job, text string) bool {
	err := r.Memory.Notice(ctx, j.tale.id, text)
	if err == nil || errors.Is(err, ErrGone) {
		return true
	}
	r.later(ctx, j, fmt.Errorf("leave a notice: %w", err))
	return false
}

// advance keeps that a job has dealt with an event, and has it look for the next.
func (r *Runner) advance(ctx context.Context, j *job, to Progress) {
	r.mu.Lock()
	lost := to.Lost > j.progress.Lost
	j.progress, j.tries, j.after, j.pending = to, 0, time.Time{}, true
	if !lost {
		r.stats.Sent++
	}
	r.mu.Unlock()
	j.unkept = true
	r.keep(ctx, j)
}

// end takes a job away, and its build with the last one. If that cannot be kept, the
// next process finds it.
func (r *Runner) end(ctx context.Context, j *job) {
	t := j.tale
	r.mu.Lock()
	if !t.left {
		delete(t.jobs, j.plugin.ID)
		r.unlist(j)
		if len(t.jobs) == 0 {
			delete(r.tales, t.id)
		}
	}
	r.mu.Unlock()
	r.chill(t)
	r.keep(ctx, j)
}

// keep reports whether the progress of a build is durable.
func (r *Runner) keep(ctx context.Context, j *job) bool {
	t := j.tale
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepWithin)
	defer cancel()
	t.keeping.Lock()
	defer t.keeping.Unlock()
	r.mu.Lock()
	progress := map[string]Progress{}
	for id, other := range t.jobs {
		progress[id] = other.progress
	}
	left := t.left
	r.mu.Unlock()
	if left {
		return true // its ledger is somebody else's by now
	}
	if err := r.Memory.Keep(ctx, t.id, progress); err != nil {
		r.Logger.Error("keep what plugins were told", "build", t.id.String(), "err", err)
		return false
	}
	j.unkept = false
	return true
}
