package builder

import (
	"context"
	"io"
	"path"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/executor"
)

// runProject runs the Compose project of step i.
func (t *attempt) runProject(ctx context.Context, i int, step *plan.ComposeStep, state *build.Step) error {
	p, err := t.project(&t.given.Task.Steps[i], step)
	if err != nil {
		return failed("step %d: %v", i+1, err)
	}
	var result executor.Result
	t.journal.page(t.masker, func(page *page) {
		p.Stdout, p.Stderr = page.stdout, page.stderr
		p.Stream = func(container string) io.Writer { return page.labelled("[" + container + "] ") }
		result, err = t.builder.Compose.Run(ctx, p)
	})
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	}
	state.Exit = result.Exit
	if result.Exit != 0 {
		return failed("exit %d", result.Exit)
	}
	return nil
}

// project makes all values of a compose step final, but for those that the
// Compose file itself names.
func (t *attempt) project(step *plan.Step, compose *plan.ComposeStep) (executor.Project, error) {
	x := &expansion{values: t.values, secrets: step.Secrets}
	p := executor.Project{
		Owner: t.builder.owner(t.given.Attempt), Workspace: t.workspace.Dir,
		File: x.text("composeFile", compose.ComposeFile), Service: compose.Service,
		Env:    append(t.environment(step.Secrets), x.taskEnvironment(t.given.Task.Environment)...),
		Logins: t.logins, Grace: t.builder.Grace,
	}
	if x.err == nil {
		p.File, x.err = within(t.workspace.Dir, path.Clean(p.File), true)
	}
	return p, x.err
}
