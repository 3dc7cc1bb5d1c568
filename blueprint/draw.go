package blueprint

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// Limits on what is drawn.
const (
	maxValue = 64 << 10 // bytes of one text after expansion
	maxSteps = 1000     // of one task, included blueprints expanded
	maxPlan  = 16 << 20 // bytes of text in all
)

// A Request asks for the construction plan of one pipeline or blueprint.
type Request struct {
	Name    string       // a pipeline if there is one of this name, else a blueprint
	Trigger plan.Trigger // its Parameters count as given, its Commit is built
	Config  plan.Commit  // where the configuration was read

	// Given are values of parameters that a person gave; they win over the
	// trigger's. A name that no task knows is an error. Of a secret parameter only
	// its presence matters: no value of one that was given gets into the plan.
	Given map[string]string
	// Lookup, if not nil, is asked for parameters that nobody gave, before their
	// defaults: for the environment, or to tell which secrets exist.
	Lookup func(name string) (value string, ok bool)
	// Stored, if not nil, tells which secret parameters have a value that comes with
	// the assignment, unless one was given: before their defaults, like Lookup.
	Stored func(name string) bool
	// Git returns the value of a built-in parameter without `.clean`: "git.branch"
	// is "" if the build is not about a branch. Each is asked for at most once,
	// git.describe and git.describe.all only if the plan uses them.
	Git func(name string) (string, error)

	// Changed tells whether a file that the patterns choose (see plan.Patterns)
	// differs between some earlier commit and the trigger's. Nil means that all have
	// changed. It is asked at most once for each list of patterns, and only if it
	// matters: whoever answers knows the commit and makes it the plan's Base.
	Changed func(patterns []string) (bool, error)
	// Digest is an id of the paths and contents of all files of the trigger's commit
	// that the patterns choose. Nil means that no result is reused.
	Digest func(patterns []string) (string, error)
	// Explain, if not nil, is told of the task with this key why it is skipped, or
	// why its result is not reused although it has inputs, as a part of a sentence.
	Explain func(task, why string)
}

// An UnknownNameError means that there is no pipeline, blueprint or parameter of
// the name asked for.
type UnknownNameError struct {
	What    string // "pipeline or blueprint", or "parameter"
	Name    string
	Nearest string // what was probably meant, or ""
}

func (e *UnknownNameError) Error() string {
	s := fmt.Sprintf("there is no %s %q", e.What, e.Name)
	if e.Nearest != "" {
		s += fmt.Sprintf("; did you mean %q?", e.Nearest)
	}
	return s
}

// A MissingError lists the parameters that need a value from somebody.
type MissingError struct{ Parameters []Missing }

// A Missing is a parameter without a value.
type Missing struct {
	Name    string   `json:"name"`
	Secret  bool     `json:"secret,omitempty"`
	Options []string `json:"options,omitempty"` // the only values allowed, if any are listed
}

func (e *MissingError) Error() string {
	names := make([]string, len(e.Parameters))
	for i, p := range e.Parameters {
		names[i] = p.Name
	}
	return "no value for the parameters " + strings.Join(names, ", ")
}

// A ValueError means that a given value cannot be the parameter's. It does not
// hold the value, which may be secret.
type ValueError struct {
	Name    string
	Options []string // the values it can have, if they are listed
	Why     string
}

func (e *ValueError) Error() string { return fmt.Sprintf("parameter %q %s", e.Name, e.Why) }

// Draw draws the construction plan. Equal configurations and requests give equal
// plans, byte by byte. It fails with Findings if the files have errors that
// concern the plan, and with *UnknownNameError, *MissingError or *ValueError if
// the request does; other errors come from the request's Git.
func (c *Config) Draw(req Request) (*plan.Plan, error) {
	p, kind, err := c.find(req.Name)
	if err != nil {
		return nil, err
	}
	return c.draw(req, kind, p)
}

// find is the pipeline of a name, or one of the blueprint of that name alone.
func (c *Config) find(name string) (*pipeline, plan.Kind, error) {
	if p, ok := c.pipelines[name]; ok {
		return p, plan.OfPipeline, nil
	}
	if b, ok := c.blueprints[name]; ok {
		one := stage{Name: word{Value: b.name}, Blueprints: []entry{{Name: word{Value: b.name}}}}
		return &pipeline{unit: unit{file: b.file}, Description: b.Description, Stages: []stage{one}}, plan.OfBlueprint, nil
	}
	if err := c.errorsIn(nil).orNil(); err != nil {
		return nil, "", err // the name may stand in what could not be read
	}
	return nil, "", &UnknownNameError{What: "pipeline or blueprint", Name: name, Nearest: nearest(name, c.names())}
}

// draw draws a pipeline; a blueprint on its own is one without a name.
func (c *Config) draw(req Request, kind plan.Kind, p *pipeline) (*plan.Plan, error) {
	if err := c.readable(p.file, p.Stages); err != nil {
		return nil, err
	}
	if !utf8.ValidString(req.Trigger.Ref) {
		return nil, fmt.Errorf("ref %q is not UTF-8 text", req.Trigger.Ref)
	}
	d := &drawer{
		config: c, req: req, pipeline: p, git: map[string]string{}, cleaned: map[string]string{}, blueprints: map[*blueprint][]placed{},
		declared: map[string]bool{}, names: map[string]bool{}, changes: map[string]bool{}, digests: map[string]string{},
		earlier: map[string][]*plan.Task{}, byKey: map[string]*plan.Task{}, environments: map[*blueprint]environment{},
	}
	out := &plan.Plan{
		Version: plan.Version, Kind: kind, Name: req.Name, Description: p.Description.Value,
		Event: req.Trigger.Event, Ref: req.Trigger.Ref, Commit: req.Trigger.Commit, ConfigCommit: req.Config,
	}
	out.Concurrency, out.Checks = d.concurrency(&p.Concurrency), p.Checks.Value
	out.Plugins = c.root.plugins()
	for i := range p.Stages {
		if s := d.stage(len(out.Stages), i, &p.Stages[i]); len(s.Tasks) > 0 {
			out.Stages = append(out.Stages, s)
			d.remember(s)
		}
	}
	out.Git = d.builtIns()
	if err := d.finish(); err != nil {
		return nil, err
	}
	return out, nil
}

// readable reports the errors in the files that the stages are made of.
func (c *Config) readable(file string, stages []stage) error {
	files := map[string]bool{file: true}
	seen := map[string]bool{}
	tasks := 0
	for _, s := range stages {
		for _, e := range s.Blueprints {
			b, ok := c.blueprints[e.Name.Value]
			if !ok {
				continue // which is an error in the file
			}
			tasks += max(1, b.Matrix.size())
			if !seen[b.name] {
				seen[b.name] = true
				for _, inner := range c.closure(b) {
					files[inner.file] = true
				}
			}
		}
	}
	if err := c.errorsIn(files).orNil(); err != nil || tasks <= plan.MaxTasks {
		return err
	}
	return Findings{{
		Position: Position{File: file}, Severity: SeverityError,
		Message: fmt.Sprintf("%d tasks in one plan, more than %d", tasks, plan.MaxTasks),
	}}
}

// A drawer draws one plan.
type drawer struct {
	config   *Config
	req      Request
	pipeline *pipeline
	earlier  map[string][]*plan.Task // of the stages that are drawn, by name and by blueprint
	byKey    map[string]*plan.Task
	report   report
	err      error // the first that is nobody's mistake in a file

	git          map[string]string // values that were asked for, by name without .clean
	cleaned      map[string]string // the clean forms of some of them
	blueprints   map[*blueprint][]placed
	environments map[*blueprint]environment // of all steps
	declared     map[string]bool            // names of parameters that a value can be given to
	names        map[string]bool            // of tasks
	changes      map[string]bool            // answers of Request.Changed, by patterns
	digests      map[string]string          // answers of Request.Digest, by patterns
	missing      []Missing
	size         int
}

// finish is the outcome: what stands in files comes before what was given.
func (d *drawer) finish() error {
	if d.err != nil {
		return d.err
	}
	for _, given := range []map[string]string{d.req.Given, d.req.Trigger.Parameters} {
		for _, name := range slices.Sorted(maps.Keys(given)) {
			if !d.declared[name] {
				return &UnknownNameError{What: "parameter", Name: name, Nearest: nearest(name, slices.Sorted(maps.Keys(d.declared)))}
			}
		}
	}
	if len(d.missing) > 0 {
		return &MissingError{Parameters: d.missing}
	}
	return d.report.findings(d.config.root.configPath()).orNil()
}

// fail keeps the first error.
func (d *drawer) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// spend counts bytes that go into the plan and reports whether there is room.
func (d *drawer) spend(at Position, n int) bool {
	const overhead = 64 // of the names and brackets around a text
	if d.size > maxPlan {
		return false
	}
	if d.size += n + overhead; d.size > maxPlan {
		d.report.errorf(at, "the plan is larger than %d MiB", maxPlan>>20)
	}
	return d.size <= maxPlan
}

func (d *drawer) stage(index, position int, s *stage) plan.Stage {
	out := plan.Stage{Name: s.Name.Value}
	if out.Name == "" {
		out.Name = "stage " + strconv.Itoa(position+1)
	}
	for i := range s.Blueprints {
		e := &s.Blueprints[i]
		for _, combination := range d.combinations(e) {
			if d.size > maxPlan || d.err != nil {
				break
			}
			out.Tasks = append(out.Tasks, d.task(plan.Key(index, len(out.Tasks)), e, combination))
		}
	}
	return out
}

// unique makes the name differ from those of earlier tasks.
func (d *drawer) unique(name string) string {
	free := name
	for n := 2; d.names[free]; n++ {
		free = name + "#" + strconv.Itoa(n)
	}
	d.names[free] = true
	return free
}

// builtIns are the values about the commit that every step finds in its
// environment.
func (d *drawer) builtIns() map[string]string {
	all := map[string]string{}
	for _, name := range gitNames() {
		if _, used := d.git[name]; costly(name) && !used {
			continue
		}
		v := d.gitValue(name)
		all[name], all[name+cleanSuffix] = v, d.cleanValue(name)
	}
	return all
}

// maxGit bounds built-in values: a longer one would not fit into a process's
// environment together with its clean form.
const maxGit = 32 << 10

// cleanValue is the clean form of a built-in value, made once.
func (d *drawer) cleanValue(base string) string {
	v, ok := d.cleaned[base]
	if !ok {
		v = plan.Clean(d.gitValue(base))
		d.cleaned[base] = v
	}
	return v
}

// gitValue asks for the value of a built-in parameter once. Git's texts are
// bytes: what cannot stand in an environment or in JSON is replaced or cut.
func (d *drawer) gitValue(base string) string {
	if v, ok := d.git[base]; ok {
		return v
	}
	v, err := d.req.Git(base)
	if err != nil {
		d.fail(fmt.Errorf("find out %s: %w", base, err))
	}
	v, _, _ = strings.Cut(v, "\x00")
	v = strings.ToValidUTF8(v, "\ufffd")
	for len(v) > maxGit {
		_, n := utf8.DecodeLastRuneInString(v[:maxGit+1])
		v = v[:maxGit+1-n]
	}
	d.git[base] = v
	return v
}
