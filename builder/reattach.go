package builder

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/executor"
)

// lasting reports whether steps in containers outlive this process.
func (b *Builder) lasting() bool { return b.Sealer != nil && b.Keep > 0 && b.Docker != nil }

// begin is what is called with the container of step i, so that the next process
// finds what it needs to take the step up. Nil: that process reports the attempt
// interrupted. It does for steps on this machine, whose output goes to a pipe
// that ends with this process.
func (t *attempt) begin(i int) func(container string) error {
	if !t.builder.lasting() || t.onHost(t.given.Task.Steps[i].Run) || !resumable(&t.given.Task) || len(t.expiring) > 0 {
		return nil
	}
	return func(container string) error {
		return t.builder.writeResumption(t.keeping, t.resumption(i, container))
	}
}

// resumable reports whether a resumption tells all that an attempt of the task
// knows while it runs: what it logged in to or keeps for others is not in it, nor are
// containers beside that of the step.
func resumable(task *plan.Task) bool {
	more := func(s plan.Step) bool { return s.Type != plan.StepRun || s.Run == nil || len(s.Run.Services) > 0 }
	return len(task.Registries)+len(task.Caches)+len(task.Artifacts) == 0 &&
		!slices.ContainsFunc(task.Steps, more)
}

// An orphan is an attempt that an earlier process left in a step that may go on.
type orphan struct {
	past            *resumption
	slot            *slot
	work, reporting context.Context
}

// adopt finds the orphans on the disk and gives them slots, so that nothing of
// theirs is reaped. What is not adopted, Run reports as interrupted.
func (b *Builder) adopt() {
	if !b.lasting() {
		return
	}
	entries, _ := os.ReadDir(b.SpoolDir) // Run tells of the error
	for _, e := range entries {
		k := keeping{dir: filepath.Join(b.SpoolDir, e.Name()), durable: true}
		if r, _, err := k.load(); err != nil || r.Verdict != "" {
			continue
		}
		past, err := b.readResumption(k)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			b.Log.Warn("attempt cannot be taken up again", slog.String("folder", k.dir), slog.Any("error", err))
			continue
		}
		o := &orphan{past: past}
		var stop, drop context.CancelCauseFunc
		o.work, stop = context.WithCancelCause(context.Background())
		o.reporting, drop = context.WithCancelCause(context.Background())
		b.mu.Lock()
		o.slot = b.occupy(past.Given.Attempt, stop, drop)
		b.mu.Unlock()
		b.orphans = append(b.orphans, o)
	}
}

// takeUp carries an orphan out to its end.
func (b *Builder) takeUp(o *orphan) {
	a, s := o.past.Given, o.slot
	t, err := b.resumed(o.past, s)
	if err != nil {
		b.logFor(a.Attempt).Warn("attempt cannot be taken up again", slog.Any("error", err))
		result, ended := restarted(a.Attempt, err.Error()), b.Now()
		if err := b.keeping(a.Attempt).end(result, ended); err != nil {
			b.Log.Warn("result would not survive a restart", slog.Any("error", err))
		}
		b.finished(s)
		b.deliver(o.reporting, s, b.keeping(a.Attempt), result, ended)
		s.stop(nil)
		return
	}
	t.log.Info("taking up what an earlier process began", slog.String("container", o.past.Container))
	t.carryOut(o.reporting, s, func() error { return t.workOn(o.work, o.reporting, o.past) })
	s.stop(nil)
	s.drop(nil)
	b.leave(a.Attempt, s)
}

// resumed is the attempt as it was when its step began, with the log as far as it
// had come since.
func (b *Builder) resumed(past *resumption, s *slot) (*attempt, error) {
	t := b.newAttempt(past.Given, s)
	t.began, t.steps, t.values = past.Began, past.Steps, past.values()
	for _, secrets := range past.Hidden {
		if err := t.hide(secrets); err != nil {
			return nil, err
		}
	}
	var err error
	t.journal, err = reopenJournal(t.keeping.base(), past.Began, b.logOptions(), t.report.grown)
	return t, err
}

// workOn does the rest of the work: the step that had begun, and those after it.
func (t *attempt) workOn(ctx, reporting context.Context, past *resumption) error {
	ctx, end, cancel := t.bounded(ctx)
	defer cancel()
	release, openErr := t.reopenWorkspace(ctx)
	defer func() { t.release(release) }()
	i := past.Step
	s := &t.given.Task.Steps[i]
	if openErr == nil {
		defer t.guardWorkspace(ctx, end)()
		defer t.gather()
	}
	err := t.heed(func() error {
		return t.step(ctx, i+1, t.left(s.Timeout, past.Steps[i+1].Started), func(ctx context.Context) error {
			if openErr != nil {
				return interrupted("builder restarted: %v", openErr)
			}
			return t.resumeStep(ctx, past)
		})
	})
	return t.runSteps(ctx, reporting, i+1, tolerated(ctx, s, err))
}

func (t *attempt) reopenWorkspace(ctx context.Context) (closeWorkspace func() error, err error) {
	want, err := t.source()
	if err != nil {
		return nil, err
	}
	t.workspace, closeWorkspace, err = t.builder.Workspaces.Reopen(ctx, want)
	return closeWorkspace, err
}

// left is what is left of a limit for what began then; 0 stays no limit.
func (t *attempt) left(limit plan.Duration, began time.Time) plan.Duration {
	if limit <= 0 {
		return limit
	}
	return max(1, limit-plan.Duration(t.builder.Now().Sub(began)))
}

// resumeStep stays with the container of the step that had begun. Its output,
// which comes again from the first byte on, continues the log only if the log is
// how it begins.
func (t *attempt) resumeStep(ctx context.Context, past *resumption) error {
	step, state := &t.given.Task.Steps[past.Step], &t.steps[past.Step+1]
	cmd, err := t.command(step)
	if err != nil {
		return failed("step %d: %v", past.Step+1, err)
	}
	defer t.forget()
	logged, err := t.journal.log.Resume(past.From)
	if err != nil {
		return interrupted("builder restarted: %v", err)
	}
	var result executor.Result
	t.journal.pass(t.masker, logged, func(p *page) {
		cmd.Stdout, cmd.Stderr = p.stdout, p.stderr
		result, err = t.builder.Docker.Resume(ctx, past.Container, cmd)
	})
	if err == nil {
		err = logged.Replayed()
	}
	if err != nil && !errors.As(err, new(*executor.StartError)) {
		err = interrupted("builder restarted: %v", err)
	}
	return t.outcome(ctx, step.Run, state, result, err)
}

// forget removes what the next process would have needed: the step has ended.
func (t *attempt) forget() {
	if err := os.Remove(filepath.Join(t.keeping.dir, resumptionFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.log.Warn("record of a container stays until the attempt's end", slog.Any("error", err))
	}
}

// resumption is what the next process needs to take step i up in its container.
func (t *attempt) resumption(i int, container string) *resumption {
	r := &resumption{
		Version: resumptionVersion, Given: t.given, Began: t.began, Hidden: t.hidden, Steps: t.steps,
		Step: i, Container: container, From: t.journal.size.Load(), Values: map[string]valueRecord{},
	}
	r.Given.Credential = "" // the checkout is done
	for name, v := range t.values {
		r.Values[name] = valueRecord{Text: v.text, Secret: v.secret}
	}
	return r
}
