package builder

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/executor"
	"github.com/velocity-ci/velocity/builder/mask"
	"github.com/velocity-ci/velocity/builder/report"
	"github.com/velocity-ci/velocity/builder/source"
	"github.com/velocity-ci/velocity/builder/spool"
)

// An attempt is one try of a task. Only its own goroutine touches it; what others
// may know of it goes through its report.
type attempt struct {
	builder   *Builder
	given     dispatch.Assignment
	began     time.Time
	log       *slog.Logger
	steps     []build.Step // the implicit setup first
	values    values
	logins    []executor.Login
	expiring  []expiring // derived values that are of no use some day
	masker    *mask.Masker
	hidden    []map[string]string // the secrets that masker knows
	keeping   keeping
	journal   *journal
	report    *reporter
	workspace source.Workspace
	caches    []cache
	artifacts []build.Artifact
	avowed    bool            // the architect knows that steps begin
	suspects  []*report.Lines // of steps that failed
	tests     build.Tests
	findings  []build.Finding
}

// newAttempt makes the attempt of a slot, without its journal.
func (b *Builder) newAttempt(a dispatch.Assignment, s *slot) *attempt {
	log := b.logFor(a.Attempt)
	k := b.keeping(a.Attempt)
	r := newReporter(b.Architect, a.Attempt, k.base(), b.pace, log)
	r.stale = func() { s.stop(dispatch.ErrStale); s.drop(dispatch.ErrStale) }
	return &attempt{
		builder: b, given: a, began: b.Now(), log: log, keeping: k, report: r, masker: new(mask.Masker), steps: steps(a.Task),
	}
}

// run carries an attempt out from beginning to end. work ends what it does,
// reporting what it says about it.
func (b *Builder) run(work, reporting context.Context, a dispatch.Assignment, s *slot) {
	t := b.newAttempt(a, s)
	if err := t.keeping.begin(a.Attempt); err != nil {
		t.log.Warn("attempt could not be noted on the disk", slog.Any("error", err)) // its log will not be written either
	}
	t.journal = newJournal(t.keeping.base(), b.logOptions(), t.report.grown)
	t.carryOut(reporting, s, func() error { return t.work(work, reporting) })
}

// carryOut does the work and reports it to the end.
func (t *attempt) carryOut(reporting context.Context, s *slot, work func() error) {
	b, r := t.builder, t.report
	r.start(reporting, &t.journal.size)
	result := t.close(work())
	ended := b.Now()
	if err := t.keeping.end(result, ended); err != nil {
		t.log.Warn("result would not survive a restart", slog.Any("error", err))
	}
	b.finished(s)
	r.giveUp(b.Now, ended.Add(b.keepFor()))
	if err := t.keeping.close(r.finish(reporting, result)); err != nil {
		t.log.Warn("log stays on disk", slog.Any("error", err))
	}
}

func (b *Builder) logOptions() spool.Options {
	return spool.Options{Now: b.Now, Cap: b.LogLimit, Durable: b.Keep > 0, Resumable: b.lasting()}
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
	ctx, end, cancel := t.bounded(ctx)
	defer cancel()
	var release func() error
	defer func() { t.release(release) }()
	err = t.step(ctx, 0, 0, func(ctx context.Context) error {
		closeWorkspace, err := t.setup(ctx)
		release = closeWorkspace
		if err != nil {
			return err
		}
		return t.furnish(ctx)
	})
	if err != nil {
		return err
	}
	defer t.guardWorkspace(ctx, end)()
	defer func() { t.gather(); err = t.keep(ctx, err) }()
	return t.runSteps(ctx, reporting, 0, nil)
}

// bounded limits the time of the attempt's work, and lets it be ended with a
// reason.
func (t *attempt) bounded(ctx context.Context) (_ context.Context, end context.CancelCauseFunc, cancel func()) {
	limit := t.given.Task.Timeout
	if most := plan.Duration(t.builder.Limit); most > 0 && (limit <= 0 || limit > most) {
		limit = most
	}
	ctx, cancel = limited(ctx, t.left(limit, t.began))
	ctx, end = context.WithCancelCause(ctx)
	return ctx, end, cancel
}

// release gives the workspace back, if there is one.
func (t *attempt) release(closeWorkspace func() error) {
	if closeWorkspace == nil {
		return
	}
	if err := closeWorkspace(); err != nil {
		t.log.Warn("workspace stays on disk", slog.Any("error", err))
	}
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
	return dispatch.Result{
		Attempt: t.given.Attempt, Verdict: verdict, Reason: reason, Steps: t.steps,
		Tests: t.tests, Findings: t.findings, Artifacts: build.Listed(t.artifacts),
	}
}
