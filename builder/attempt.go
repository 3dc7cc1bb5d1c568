package builder

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/executor"
	"github.com/velocity-ci/velocity/builder/mask"
	"github.com/velocity-ci/velocity/builder/source"
)

// An attempt is one try of a task. Only its own goroutine touches it; what others
// may know of it goes through its report.
type attempt struct {
	builder   *Builder
	given     dispatch.Assignment
	log       *slog.Logger
	steps     []build.Step // the implicit setup first
	values    values
	logins    []executor.Login
	expiring  []expiring // derived values that are of no use some day
	masker    *mask.Masker
	journal   *journal
	report    *report
	workspace source.Workspace
	caches    []cache
	artifacts []build.Artifact
}

// run carries an attempt out from beginning to end. work ends what it does,
// reporting what it says about it.
func (b *Builder) run(work, reporting context.Context, a dispatch.Assignment, s *slot) {
	log := b.logFor(a.Attempt)
	k := b.keeping(a.Attempt)
	r := newReport(b.Architect, a.Attempt, k.base(), b.pace, log)
	r.stale = func() { s.stop(dispatch.ErrStale); s.drop(dispatch.ErrStale) }
	t := &attempt{builder: b, given: a, log: log, report: r, masker: new(mask.Masker), steps: steps(a.Task)}
	if err := k.begin(a.Attempt); err != nil {
		log.Warn("attempt could not be noted on the disk", slog.Any("error", err)) // its log will not be written either
	}
	t.journal = newJournal(k.base(), b.LogLimit, b.Keep > 0, b.Now, r.grown)
	r.start(reporting, &t.journal.size)
	result := t.close(t.work(work, reporting))
	ended := b.Now()
	if err := k.end(result, ended); err != nil {
		log.Warn("result would not survive a restart", slog.Any("error", err))
	}
	b.finished(s)
	r.giveUp(b.Now, ended.Add(b.keepFor()))
	if err := k.close(r.finish(reporting, result)); err != nil {
		log.Warn("log stays on disk", slog.Any("error", err))
	}
}

func (b *Builder) logFor(a dispatch.Attempt) *slog.Logger {
	return b.Log.With(slog.String("build", a.Build.String()), slog.String("task", a.Task), slog.Int("attempt", a.Number))
}

func steps(t plan.Task) []build.Step {
	all := []build.Step{{Type: plan.StepSetup, Name: "setup", State: build.Waiting}}
	for _, s := range t.Steps {
		all = append(all, build.Step{Type: s.Type, Name: s.Name, State: build.Waiting})
	}
	return all
}

// fileName is the attempt's name in the file system: k3f9a2-12-s0t1.1. Builds
// that are not recorded have no id and are told apart by their builder alone.
func fileName(a dispatch.Attempt) string {
	id := "local"
	if !a.Build.Zero() {
		id = a.Build.String()
	}
	return fmt.Sprintf("%s-%s.%d", id, a.Task, a.Number)
}

// work runs setup and then the steps. reporting is what their news go by.
func (t *attempt) work(ctx, reporting context.Context) (err error) {
	limit := t.given.Task.Timeout
	if most := plan.Duration(t.builder.Limit); most > 0 && (limit <= 0 || limit > most) {
		limit = most
	}
	ctx, cancel := limited(ctx, limit)
	defer cancel()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	release := func() error { return nil }
	defer func() {
		if err := release(); err != nil {
			t.log.Warn("workspace stays on disk", slog.Any("error", err))
		}
	}()
	err = t.step(ctx, 0, 0, func(ctx context.Context) error {
		closeWorkspace, err := t.setup(ctx)
		if closeWorkspace != nil {
			release = closeWorkspace
		}
		if err != nil {
			return err
		}
		return t.furnish(ctx)
	})
	if err != nil {
		return err
	}
	defer t.guardWorkspace(ctx, end)()
	defer func() { err = t.keep(ctx, err) }()
	return t.runSteps(ctx, reporting)
}

// close ends the log and returns the result of an attempt whose work ended with
// err.
func (t *attempt) close(err error) dispatch.Result {
	summary, logErr := t.journal.log.Close()
	if logErr != nil && !errors.As(err, new(*ending)) {
		err = logErr
	}
	r := t.result(err)
	r.Log = build.Log{Bytes: summary.Size, Lines: int(summary.Lines), SHA256: hex.EncodeToString(summary.SHA256[:])}
	r.Times = summary.Times
	return r
}

func (t *attempt) result(err error) dispatch.Result {
	verdict, reason := judge(err)
	reason = shown(t.masker, reason)
	t.log.Info("attempt ended", slog.String("verdict", string(verdict)), slog.String("reason", reason))
	return dispatch.Result{Attempt: t.given.Attempt, Verdict: verdict, Reason: reason, Steps: t.steps, Artifacts: build.Listed(t.artifacts)}
}
