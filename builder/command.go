package builder

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/executor"
)

// maxArgument is the length up to which a script is handed over in one argument.
// Linux allows 128 KiB for each and about 2 MiB for all.
const maxArgument = 100 << 10

// onHost reports whether the step runs on the builder's own machine.
func (t *attempt) onHost(run *plan.Run) bool { return run.Image == "" || t.builder.HostForImages }

func (t *attempt) executor(run *plan.Run) Executor {
	if t.onHost(run) {
		return t.builder.Host
	}
	return t.builder.Docker
}

// command makes all values of a run step final. An error is the author's to mend.
func (t *attempt) command(step *plan.Step) (executor.Command, error) {
	run := step.Run
	x := &expansion{values: t.values, secrets: step.Secrets}
	cmd := executor.Command{
		Owner:      t.builder.owner(t.given.Attempt),
		Argv:       x.argv(run),
		Env:        slices.Concat(t.environment(step.Secrets), x.taskEnvironment(t.given.Task.Environment), x.environment(run.Environment)),
		Workspace:  t.workspace.Dir,
		Dir:        x.text("workingDir", run.WorkingDir),
		ReadOnly:   t.workspace.ReadOnly,
		Image:      x.text("image", run.Image),
		Pull:       executor.Pull(run.Pull),
		MountPoint: run.MountPoint,
		User:       run.User,
		Network:    run.Network,
		Logins:     t.logins,
		Services:   x.services(run.Services),
		Grace:      t.builder.Grace,
	}
	if x.err != nil {
		return cmd, x.err
	}
	if err := t.secretFiles(step.Run.SecretFiles, &cmd); err != nil {
		return cmd, err
	}
	if cmd.MountPoint == "" {
		cmd.MountPoint = plan.DefaultMountPoint
	}
	var err error
	cmd.Dir, err = within(t.workspace.Dir, cmd.Dir, t.onHost(run))
	if err != nil {
		return cmd, fmt.Errorf("workingDir: %w", err)
	}
	return cmd, nil
}

// environment is what every process of the task finds: the parameters that it
// may see, and where it is.
func (t *attempt) environment(secrets []string) []string {
	env := append(t.values.env(secrets), "CI=true", "VELOCITY=true", "VELOCITY_TASK="+t.given.Task.Name)
	if id := t.given.Attempt.Build; !id.Zero() {
		env = append(env, "VELOCITY_BUILD_ID="+id.String())
	}
	if t.given.Traced {
		env = append(env, "TRACEPARENT="+t.given.Attempt.Traceparent(t.underWay()))
	}
	return env
}

// underWay is the step that runs now; 0 is the setup.
func (t *attempt) underWay() int {
	return max(0, slices.IndexFunc(t.steps, func(s build.Step) bool { return s.State == build.Building }))
}

// An expansion expands the texts of one step and keeps the first error.
type expansion struct {
	values  values
	secrets []string
	err     error
}

func (x *expansion) text(where string, t plan.Text) string {
	s, err := x.values.expand(t, x.secrets)
	if err != nil && x.err == nil {
		x.err = fmt.Errorf("%s: %w", where, err)
	}
	return s
}

func (x *expansion) environment(vars []plan.Variable) []string {
	env := make([]string, len(vars))
	for i, v := range vars {
		env[i] = v.Name + "=" + x.text("environment "+v.Name, v.Value)
	}
	return env
}

// taskEnvironment is the environment that all steps of a task have, without the
// variables that hold a secret which this step does not list.
func (x *expansion) taskEnvironment(vars []plan.Variable) []string {
	return x.environment(slices.DeleteFunc(slices.Clone(vars), func(v plan.Variable) bool {
		return x.values.withholds(v.Value, x.secrets)
	}))
}

func (x *expansion) texts(where string, texts []plan.Text) []string {
	all := make([]string, len(texts))
	for i, t := range texts {
		all[i] = x.text(where, t)
	}
	return all
}

func (x *expansion) services(services []plan.Service) []executor.Service {
	var all []executor.Service
	for _, s := range services {
		all = append(all, executor.Service{
			Alias: s.Alias, Image: x.text("image of service "+s.Alias, s.Image),
			Argv: x.texts("command of service "+s.Alias, s.Command), Env: x.environment(s.Environment),
			Ready: x.texts("ready of service "+s.Alias, s.Ready),
		})
	}
	return all
}

func (x *expansion) argv(run *plan.Run) []string {
	if run.Script != "" {
		if strings.ContainsRune(run.Script, 0) && x.err == nil {
			x.err = errors.New("script: a zero byte, which no shell can read")
		}
		return scriptArgv(run.Script)
	}
	argv := x.texts("command", run.Command)
	if x.err == nil && (len(argv) == 0 || argv[0] == "") {
		x.err = errors.New("command: there is no program to run")
	}
	return argv
}

// scriptArgv hands a script to a shell: as it stands, or in pieces that the shell
// puts together if it is longer than one argument may be. No file or standard
// input is needed, which would have to exist in containers, too.
func scriptArgv(script string) []string {
	if len(script) <= maxArgument {
		return []string{"/bin/sh", "-eu", "-c", script}
	}
	var pieces []string
	whole := ""
	for rest := script; rest != ""; {
		n := min(len(rest), maxArgument)
		pieces = append(pieces, rest[:n])
		whole += fmt.Sprintf("${%d}", len(pieces))
		rest = rest[n:]
	}
	join := `velocity_script="` + whole + `"; set --; eval "$velocity_script"`
	return append([]string{"/bin/sh", "-eu", "-c", join, "sh"}, pieces...)
}

// within cleans a slash-separated path relative to root and refuses one that
// leads outside. With links, symbolic links on the machine are followed, as the
// process that gets the path would: in a container they lead elsewhere.
func within(root, name string, links bool) (string, error) {
	clean := path.Clean(name)
	if path.IsAbs(name) || clean == ".." || strings.HasPrefix(clean, "../") {
		return "", fmt.Errorf("%q leads out of the workspace", name)
	}
	if !links {
		return clean, nil
	}
	real, err := filepath.EvalSymlinks(filepath.Join(root, filepath.FromSlash(clean)))
	if err != nil {
		return clean, nil //nolint:nilerr // absent: whoever starts the process says so
	}
	base, err := filepath.EvalSymlinks(root)
	if err != nil {
		return "", fmt.Errorf("find workspace: %w", err)
	}
	if rel, err := filepath.Rel(base, real); err != nil || !filepath.IsLocal(rel) {
		return "", fmt.Errorf("%q leads out of the workspace through a symbolic link", name)
	}
	return clean, nil
}
