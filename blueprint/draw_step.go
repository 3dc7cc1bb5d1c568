package blueprint

import (
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kballard/go-shellquote"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A placed step stands where the blueprint steps around it were expanded, and has
// their settings: what they ignore is ignored for each of their steps, their
// secrets are its secrets, and the shortest of the timeouts is its own.
type placed struct {
	step         *step
	timeout      time.Duration
	ignoreErrors bool
	always       bool
	conditions   []*condition // all must hold
	secrets      []string
}

// steps expands the inclusions of a blueprint. An included blueprint's own
// timeout does not count: it is about a task of its own.
func (d *drawer) steps(b *blueprint) []placed {
	if steps, ok := d.blueprints[b]; ok {
		return steps
	}
	var out []placed
	for i := range b.Steps {
		s := &b.Steps[i]
		here := placed{step: s}.within(s.common)
		if s.blueprint == nil {
			out = append(out, here)
			continue
		}
		for _, name := range s.blueprint.included() {
			for _, inner := range d.steps(d.config.blueprints[name.Value]) {
				out = append(out, inner.within(s.common))
			}
			if len(out) > maxSteps {
				d.report.errorf(s.at, "blueprint %s has more than %d steps once its blueprint steps are expanded", b.name, maxSteps)
				d.blueprints[b] = nil
				return nil
			}
		}
	}
	d.blueprints[b] = out
	return out
}

// within adds the settings of a step around it.
func (p placed) within(c *common) placed {
	if c.Timeout.Value > 0 && (p.timeout == 0 || c.Timeout.Value < p.timeout) {
		p.timeout = c.Timeout.Value
	}
	p.ignoreErrors = p.ignoreErrors || c.IgnoreErrors.Value
	p.always = p.always || c.Always.Value
	if c.When.Set {
		p.conditions = append(slices.Clip(p.conditions), &c.When)
	}
	p.secrets = slices.Clip(p.secrets)
	for _, name := range c.Secrets.List {
		p.secrets = addName(p.secrets, name.Value)
	}
	return p
}

// step draws one step. What was right when the file was loaded is checked again:
// the values are known now.
func (t *task) step(p placed) (plan.Step, bool) {
	s := p.step
	if !t.spend(s.at, len(s.common.Description.Value)) {
		return plan.Step{}, false
	}
	t.check.step(s)
	out := plan.Step{
		Name: s.title(), At: s.at.String(), Timeout: plan.Duration(p.timeout), IgnoreErrors: p.ignoreErrors, Always: p.always,
		Skip: slices.ContainsFunc(p.conditions, func(c *condition) bool { return !t.holds(c) }),
	}
	if !out.Skip { // a step that is not run sees no secret, and does not wait for one
		out.Secrets = t.granted(p)
	}
	switch {
	case s.run != nil:
		out.Type, out.Run = plan.StepRun, t.run(s.run)
	case s.build != nil:
		out.Type, out.Build = plan.StepBuild, t.imageBuild(s.build)
	case s.push != nil:
		out.Type, out.Push = plan.StepPush, &plan.ImagePush{Tags: t.resolveAll(s.push.Tags.List)}
	case s.compose != nil:
		out.Type = plan.StepCompose
		out.Compose = &plan.ComposeStep{ComposeFile: t.resolve(&s.compose.ComposeFile), Service: s.compose.Service.Value}
	}
	return out, true
}

func (t *task) imageBuild(s *buildStep) *plan.ImageBuild {
	return &plan.ImageBuild{
		Dockerfile: t.resolve(&s.Dockerfile), Context: t.resolve(&s.Context), Tags: t.resolveAll(s.Tags.List),
		Target: t.resolve(&s.Target), Args: t.variables(s.Args), Platforms: s.Platforms.valuesOrNil(),
	}
}

func (t *task) service(s *service) plan.Service {
	out := plan.Service{
		Image: t.resolve(&s.Image), Command: t.resolveAll(s.Command.List),
		Environment: t.variables(s.Environment), Ready: t.resolveAll(s.Ready.List),
	}
	image, known := t.check.literal(&s.Image)
	if out.Alias = serviceAlias(s, image); out.Alias == "" && !known {
		t.report.errorf(s.at, "a service whose image is known only when the task is set up needs an alias")
	}
	return out
}

// variables resolves values, and asks for what shell code in them mentions.
func (t *task) variables(list []variable) []plan.Variable {
	var out []plan.Variable
	for i := range list {
		v := &list[i]
		out = append(out, plan.Variable{Name: v.Name.Value, Value: t.resolve(&v.Value)})
		t.mentions(v.Value.Value)
	}
	return out
}

func (t *task) run(s *runStep) *plan.Run {
	t.spend(s.at, len(s.Script.Value))
	t.mentions(s.Script.Value)
	out := &plan.Run{
		Image: t.resolve(&s.Image), Command: t.resolveAll(s.Command.List), Script: s.Script.Value,
		WorkingDir: t.workingDir(s), IgnoreExitCode: s.IgnoreExitCode.Value, Pull: s.Pull.Value,
	}
	out.Environment = t.variables(s.Environment)
	out.SecretFiles = s.SecretFiles.valuesOrNil()
	for i := range s.Services {
		out.Services = append(out.Services, t.service(&s.Services[i]))
	}
	for _, arg := range s.Command.List {
		t.mentions(arg.Value)
	}
	out.MountPoint, _ = t.expand(&s.MountPoint)
	if out.MountPoint != "" {
		out.MountPoint = path.Clean(out.MountPoint)
	}
	out.Network, _ = t.expand(&s.Network)
	out.User, _ = t.expand(&s.User)
	return out
}

// mentions asks for the costly built-in values that shell code names. Scripts
// that stand in files of their own are not read.
func (t *task) mentions(code string) {
	for _, name := range gitNames() {
		if costly(name) && strings.Contains(code, plan.EnvName(name)) {
			t.gitValue(name)
		}
	}
}

// workingDir is relative to the workspace as far as it is known.
func (t *task) workingDir(s *runStep) plan.Text {
	mount := plan.DefaultMountPoint
	if v, ok := t.check.literal(&s.MountPoint); ok {
		mount = v
	}
	dir, ok := t.check.literal(&s.WorkingDir)
	if !ok {
		return t.resolve(&s.WorkingDir)
	}
	relative, _ := withinMount(mount, dir) // the checker has reported what is outside
	return plan.Literal(relative)
}

func (t *task) resolveAll(list []text) []plan.Text {
	var out []plan.Text
	for i := range list {
		out = append(out, t.resolve(&list[i]))
	}
	return out
}

// granted lists the secrets that the step may see: those it asks for, and as in
// 2019 those it mentions. Derived values count, since they may turn out secret.
func (t *task) granted(p placed) []string {
	names := slices.Clone(p.secrets)
	for _, ref := range p.step.references() {
		_, builtIn := lookupBuiltIn(ref.name)
		d, declared := t.scope.names[ref.name]
		if !builtIn && (!declared || d.class != known) {
			names = addName(names, ref.name)
		}
	}
	if len(names) > maxParameters {
		t.report.errorf(p.step.at, "the step sees more than %d secrets", maxParameters)
	}
	return names
}

// addName adds a name that is not there yet, and no more than are too many.
func addName(names []string, name string) []string {
	if len(names) > maxParameters || slices.Contains(names, name) {
		return names
	}
	return append(names, name)
}

// title is the step's name for people: its description, or what it does.
func (s *step) title() string {
	title := strings.TrimSpace(s.common.Description.Value)
	if title == "" {
		title = s.summary()
	}
	line, _, more := strings.Cut(title, "\n")
	if more {
		line += " …"
	}
	return printable(shorten(line, 80))
}

func (s *step) summary() string {
	switch {
	case s.run != nil && s.run.Command.Set:
		var argv []string
		for _, arg := range s.run.Command.List {
			argv = append(argv, arg.Value)
		}
		return quoteWords(argv)
	case s.run != nil && s.run.Script.Set:
		return firstCommand(s.run.Script.Value)
	case s.run != nil:
		return s.run.Image.Value
	case s.compose != nil:
		return "compose " + s.compose.ComposeFile.Value
	case s.build != nil:
		return strings.TrimSpace("build " + joinValues(s.build.Tags.List))
	default:
		return "push " + joinValues(s.push.Tags.List)
	}
}

// quoteWords joins words as a shell would read them, plain ones unquoted.
func quoteWords(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = w
		if w == "" || strings.ContainsAny(w, " \t\n'\"\\|&;<>()*?") {
			quoted[i] = shellquote.Join(w)
		}
	}
	return strings.Join(quoted, " ")
}

// firstCommand is the first line of a script that does something.
func firstCommand(script string) string {
	for line := range strings.Lines(script) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return line
		}
	}
	return "script"
}

func joinValues(list []text) string {
	var values []string
	for _, t := range list {
		values = append(values, t.Value)
	}
	return strings.Join(values, " ")
}
