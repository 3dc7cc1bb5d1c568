package builder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/egress"
	"github.com/velocity-ci/velocity/builder/executor"
)

// executableTime is what an executable has unless the blueprint says otherwise.
const executableTime = 30 * time.Second

// An executable answers a question of the task's setup on its standard output.
type executable struct {
	what      string // for people, such as "derived parameter ci/version"
	use       string // path in the workspace, or an https address
	sum       string // of what is at the address
	arguments []plan.Variable
	limit     time.Duration // 0 is executableTime
}

// runExecutable runs x in the workspace, with an environment that has no secrets;
// arguments that mention one by name get it.
func (t *attempt) runExecutable(ctx context.Context, x executable, stdout, stderr io.Writer) (exit int, err error) {
	if t.builder.Host == nil {
		return 0, failed("%s needs the host executor, which this builder does not allow", x.what)
	}
	limit := x.limit
	if limit <= 0 {
		limit = executableTime
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, failed("%s: timed out after %s", x.what, limit))
	defer cancel()
	program, err := t.program(ctx, x)
	if err != nil {
		return 0, because(ctx, err)
	}
	argv := []string{program}
	for _, a := range x.arguments {
		text, err := t.expandAll(a.Value)
		if err != nil {
			return 0, failed("%s: argument %s: %v", x.what, a.Name, err)
		}
		argv = append(argv, "-"+a.Name+"="+text)
	}
	result, err := t.builder.Host.Run(ctx, executor.Command{
		Owner:     t.builder.owner(t.given.Attempt),
		Argv:      argv,
		Env:       t.environment(nil),
		Workspace: t.workspace.Dir,
		Stdout:    stdout,
		Stderr:    stderr,
		Grace:     t.builder.Grace,
	})
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", x.what, err)
	}
	return result.Exit, nil
}

// program is where the executable is on this machine.
func (t *attempt) program(ctx context.Context, x executable) (string, error) {
	if !strings.Contains(x.use, "://") {
		use, err := within(t.workspace.Dir, x.use, true)
		if err != nil {
			return "", failed("%s: %v", x.what, err)
		}
		return "./" + use, nil
	}
	if t.builder.Files == nil {
		return "", failed("%s: this builder fetches no executables: put it into the repository", x.what)
	}
	path, err := t.builder.Files.Get(ctx, x.use, x.sum)
	if errors.Is(err, egress.ErrRefused) {
		return "", failed("%s: %v", x.what, err)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", x.what, err)
	}
	return path, nil
}
