package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/workflow"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/git"
)

func (c *cli) actionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "action",
		Short: "Build as a step of a GitHub workflow",
		Long: `Build a pipeline or blueprint of the checked-out repository as a step of a GitHub
workflow, as velocity run does, and show it as GitHub shows steps: groups, hidden
secrets, annotations, a summary and outputs.

It takes no arguments: the inputs of action.yml and the facts of the workflow come
in the environment that GitHub documents. docs/action.md has workflows to copy.`,
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.action(cmd.Context()) },
	}
}

// An action is one step of a workflow.
type action struct {
	c      *cli // which has the environment without what is the step's alone
	env    map[string]string
	out    *workflow.Writer
	files  actionFiles
	inputs actionInputs
	masked bool // the secrets among the parameters are known to the runner
}

// action runs the step. What goes wrong is shown on its output, as an annotation:
// runners read commands from both streams, in no order.
func (c *cli) action(ctx context.Context) error {
	a := &action{env: c.env, out: workflow.New(c.Out)}
	err := a.run(ctx, c)
	defer a.files.close()
	if err == nil {
		return nil
	}
	return &failure{status: a.complain(err)}
}

func (a *action) run(ctx context.Context, c *cli) (err error) {
	workspace := a.env["GITHUB_WORKSPACE"]
	if workspace == "" {
		return usage("velocity action is for steps of a GitHub workflow: the variable GITHUB_WORKSPACE is not set").hint("velocity run builds here")
	}
	if a.files, err = openActionFiles(a.env); err != nil {
		return err
	}
	if err := continueAsOwner(workspace, engineSocket(a.env)); err != nil {
		return err
	}
	if a.c, err = c.withoutStep(workspace); err != nil {
		return err
	}
	if a.inputs, err = readActionInputs(a.env); err != nil {
		return err
	}
	here := "."
	from, err := originFlags{repo: &here, commit: new(string)}.open(ctx)
	if errors.Is(err, git.ErrNotRepository) {
		return usage("%w", err).hint("a step with actions/checkout has to come first")
	}
	if err != nil {
		return err
	}
	defer from.close()
	if from.files == nil || from.commit.IsZero() {
		return usage("there is no commit checked out").hint("a step with actions/checkout has to come first")
	}
	return a.build(ctx, from)
}

// build builds what the inputs ask for, and leaves behind what later steps and
// people read.
func (a *action) build(ctx context.Context, from *origin) error {
	f, err := a.runFlags(ctx, from)
	if err != nil {
		return err
	}
	facts, err := readWorkflowFacts(a.env)
	if err != nil {
		return err
	}
	compared, err := facts.apply(ctx, from)
	if err != nil {
		return err
	}
	job, err := a.c.job(ctx, from, f, a.inputs.name)
	if err != nil {
		return a.withNames(from, err)
	}
	for _, value := range job.secrets {
		a.out.Mask(value)
	}
	a.masked = true
	compared.say(a.out, job.plan)
	job.trigger.Actor = facts.actor
	job.on, job.folder = a.inputs.executors, ownFolder(a.env)
	return a.make(ctx, job)
}

// runFlags are the inputs as the flags of velocity run.
func (a *action) runFlags(ctx context.Context, from *origin) (runFlags, error) {
	f := runFlags{params: &a.inputs.parameters, record: &a.inputs.record, json: new(bool)}
	if !a.inputs.record {
		return f, nil
	}
	return f, recordable(ctx, from)
}

// make makes the build. Its result is told whatever comes of recording it.
func (a *action) make(ctx context.Context, job *job) error {
	view, err := newActionView(a.out, job.folder, a.c.now)
	if err != nil {
		return err
	}
	defer view.remove()
	job.display = func() (display, func()) { return view, view.close }
	b, err := a.c.build(ctx, job)
	if b == nil {
		return err
	}
	id := ""
	if job.record {
		id = b.ID.String()
		err = errors.Join(err, a.publish(ctx, job))
	}
	summary := view.summarise(b, inContainer(a.env))
	if job.record {
		summary += "\nRecorded as build `" + id + "`.\n"
	}
	err = errors.Join(err, a.files.leave(string(b.State()), id, summary))
	if err == nil && b.State() == build.Failed {
		return &failure{status: statusFailed}
	}
	return err
}

// actionPublishWithin bounds how long the result of a build is sent: canceled jobs
// have some minutes.
const actionPublishWithin = 2 * time.Minute

// publish sends what was recorded to where the repository was checked out from,
// with the credentials that the checkout left in it. It is done for a canceled
// build, too.
func (a *action) publish(ctx context.Context, job *job) error {
	if a.inputs.publish == publishNone {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), actionPublishWithin)
	defer cancel()
	remote, err := findRemote(ctx, job.repo, nil, false)
	if err != nil {
		return err
	}
	_, err = a.c.openStore(job.repo).Publish(ctx, remote, storage.PublishOptions{
		NotesOnly: a.inputs.publish == publishNotes, Apart: true, Sleep: pause,
		Waiting: func(d time.Duration) {
			a.out.Line(fmt.Sprintf("waiting %s before the result is sent to %s", d.Round(time.Second), remote))
		},
	})
	if err == nil {
		a.out.Line(fmt.Sprintf("published the result to %s", remote))
		return nil
	}
	f := &failure{status: statusProblem, err: fmt.Errorf("publish the result: %w", err)}
	return f.hint("the job needs `permissions: {contents: write}`, which pull requests from forks never have; publish: none only records")
}

// withNames completes the error of a name that does not exist with those that do.
func (a *action) withNames(from *origin, err error) error {
	var unknown *blueprint.UnknownNameError
	if !errors.As(err, &unknown) || unknown.Name != a.inputs.name {
		return err
	}
	config, _, loading := from.config()
	if loading != nil {
		return err
	}
	var names []string
	for _, s := range append(config.Pipelines(), config.Blueprints()...) {
		names = append(names, s.Name)
	}
	return usage("input name: there is no %s %q", unknown.What, unknown.Name).hint("there are %s", strings.Join(names, ", "))
}

// complain shows what went wrong, and returns the exit status.
func (a *action) complain(err error) int {
	f := diagnose(err)
	if f.err == nil {
		return f.status
	}
	if !a.masked { // nobody knows which of them are secret
		for _, p := range a.inputs.parameters {
			_, value, _ := strings.Cut(p, "=")
			a.out.Mask(value)
		}
	}
	var findings blueprint.Findings
	if errors.As(err, &findings) {
		for _, finding := range findings {
			level := "failure"
			if finding.Severity != blueprint.SeverityError {
				level = "warning"
			}
			a.out.Line(finding.String())
			a.out.Annotate(forge.Annotation{
				Path: finding.File, Line: finding.Line, Column: finding.Column, Level: level, Title: "Configuration",
				Message: strings.TrimSuffix(finding.Message+"\n"+finding.Hint, "\n"),
			})
		}
		return f.status
	}
	message := f.err.Error()
	a.out.Annotate(forge.Annotation{Level: "failure", Title: cmp.Or(firstOf(message), "velocity action"), Message: strings.TrimSuffix(message+"\n"+f.advice, "\n")})
	return f.status
}

// firstOf is the first line of a message, as a title.
func firstOf(message string) string {
	line, _, _ := strings.Cut(message, "\n")
	return build.Clip(line, maxActionTitle)
}

const maxActionTitle = 200 // bytes

// inContainer reports whether the step runs in the container of a Docker action,
// by where its workspace is there.
func inContainer(env map[string]string) bool { return env["GITHUB_WORKSPACE"] == "/github/workspace" }

// ownFolder is a folder for the step's own files that containers beside this one can
// be shown, too, as far as GitHub gives one; "" is the machine's usual one.
func ownFolder(env map[string]string) string {
	folders := []string{env["RUNNER_TEMP"]}
	if inContainer(env) {
		folders = append(folders, env["HOME"]) // older runners show a container no other
	}
	for _, dir := range folders {
		if dir != "" && unix.Access(dir, unix.W_OK|unix.X_OK) == nil {
			return dir
		}
	}
	return ""
}
