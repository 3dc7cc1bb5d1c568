package builder

import (
	"context"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/executor"
)

// step does step i of the attempt, within limit, and records how it went. The
// error is an *ending or one that judge knows.
func (t *attempt) step(ctx context.Context, i int, limit plan.Duration, do func(context.Context) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx) // the steps before ended well, but there is no time for this one
	}
	s := &t.steps[i]
	anew := s.State != build.Building // else it was taken up again
	if anew {
		s.State, s.Started, s.From = build.Building, t.builder.Now(), t.journal.size.Load()
	}
	t.report.publish(t.steps)
	if anew && i > 0 {
		if err := t.avow(ctx, s); err != nil {
			return err
		}
	}

	within, cancel := limited(ctx, limit)
	err := do(within)
	if err != nil {
		err = because(within, err)
	}
	cancel()
	if logErr := t.journal.log.Err(); logErr != nil && ctx.Err() == nil {
		err = logErr // a full disk fails steps, too: do not blame them
	}
	s.State = build.Succeeded
	if err != nil {
		_, reason := judge(err)
		s.State, s.Reason = build.Failed, shown(t.masker, reason)
		if s.Exit == 0 { // what the log does not show by itself
			t.journal.note(t.masker, "%s", reason)
		}
	}
	s.Finished, s.To = t.builder.Now(), t.journal.size.Load()
	t.report.publish(t.steps)
	return err
}

// limited ends ctx as timed out after d, if there is a limit at all.
func limited(ctx context.Context, d plan.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, time.Duration(d), timedOut())
}

// runCommand runs the command of step i.
func (t *attempt) runCommand(ctx context.Context, i int, run *plan.Run, state *build.Step) error {
	if len(run.SecretFiles) > 0 {
		defer t.removeSecretFiles()
	}
	cmd, err := t.command(&t.given.Task.Steps[i])
	if err != nil {
		return failed("step %d: %v", i+1, err)
	}
	var result executor.Result
	if cmd.Begin = t.begin(i); cmd.Begin != nil {
		defer t.forget()
	}
	t.journal.page(t.masker, func(p *page) {
		cmd.Stdout, cmd.Stderr = p.stdout, p.stderr
		for i := range cmd.Services {
			s := &cmd.Services[i]
			s.Stdout, s.Stderr = p.labelled("["+s.Alias+"] "), p.labelled("["+s.Alias+"] ")
		}
		result, err = t.executor(run).Run(ctx, cmd)
	})
	return t.outcome(ctx, run, state, result, err)
}

// outcome says what the end of a step's process means for the step.
func (t *attempt) outcome(ctx context.Context, run *plan.Run, state *build.Step, result executor.Result, err error) error {
	state.Image = result.Image
	switch {
	case ctx.Err() != nil: // even if it ended well after it was told to end
		return context.Cause(ctx)
	case err != nil:
		return err
	}
	state.Exit = result.Exit
	if result.Exit != 0 && !run.IgnoreExitCode {
		return failed("exit %d", result.Exit)
	}
	return nil
}
