package builder

import (
	"context"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// runSteps runs the task's steps from the one at index next on, up to the first
// that fails, and of those after it the ones that always run. The first failure
// is how the attempt ends; first is one before them, or nil.
//
// If it was canceled or its time was up, what always runs has plan.CleanupTime
// for all of it, and ends with reporting, beyond which nobody would hear of it.
// Work that is interrupted is done again elsewhere: nothing of it runs then.
func (t *attempt) runSteps(ctx, reporting context.Context, next int, first error) error {
	for i, s := range t.given.Task.Steps {
		switch {
		case i < next:
			continue
		case s.Skip:
			t.skip(i + 1)
			continue
		case first != nil && !s.Always:
			continue
		case first == nil && ctx.Err() != nil:
			first = context.Cause(ctx)
		}
		if verdict, _ := judge(first); verdict == dispatch.Interrupted {
			return first
		}
		if first != nil && ctx.Err() != nil {
			var cancel context.CancelFunc
			ctx, cancel = limited(reporting, plan.Duration(plan.CleanupTime))
			defer cancel()
		}
		if err := t.oneStep(ctx, i); first == nil {
			first = err
		}
	}
	return first
}

// oneStep runs step i of the plan's task. Its failure is none if it may fail.
func (t *attempt) oneStep(ctx context.Context, i int) error {
	s := &t.given.Task.Steps[i]
	err := t.heed(func() error {
		return t.step(ctx, i+1, s.Timeout, func(ctx context.Context) error { return t.runStep(ctx, i) })
	})
	return tolerated(ctx, s, err)
}

// tolerated is what the end of a step means for the task.
func tolerated(ctx context.Context, s *plan.Step, err error) error {
	if verdict, _ := judge(err); verdict == dispatch.Failed && s.IgnoreErrors && ctx.Err() == nil {
		return nil
	}
	return err
}

// skip records that step i was not to run.
func (t *attempt) skip(i int) {
	s := &t.steps[i]
	now, at := t.builder.Now(), t.journal.size.Load()
	s.State, s.Reason = build.Succeeded, build.ReasonSkipped
	s.Started, s.Finished, s.From, s.To = now, now, at, at
	t.report.publish(t.steps)
}

// runStep does what step i of the plan's task is for.
func (t *attempt) runStep(ctx context.Context, i int) error {
	step, state := &t.given.Task.Steps[i], &t.steps[i+1]
	if err := t.renew(ctx, step); err != nil {
		return err
	}
	switch step.Type {
	case plan.StepBuild:
		return t.buildImage(ctx, i, step.Build, state)
	case plan.StepPush:
		return t.pushImages(ctx, i, step.Push, state)
	case plan.StepCompose:
		return t.runProject(ctx, i, step.Compose, state)
	}
	return t.runCommand(ctx, i, step.Run, state)
}
