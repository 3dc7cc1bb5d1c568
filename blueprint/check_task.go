package blueprint

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// Rules of texts that are about the task as a whole.
var (
	stepEnvironment = rule{field: "environment", taint: true, secret: true, late: true, before: -1}
	// All steps see it, so no secret may be in it.
	wideEnvironment = rule{field: "the environment of all steps", taint: true, before: -1}
	patternRule     = rule{field: "a pattern", before: -1}
	cacheKeyRule    = rule{field: "the key of a cache", before: -1}
	needRule        = rule{field: "the name of a task", before: -1}
)

// task checks what a blueprint says beside its parameters, labels and steps.
func (k *checker) task(b *blueprint) {
	k.wideEnvironment(b.Environment)
	for i := range b.Docker.Registries {
		k.registry(&b.Docker.Registries[i])
	}
	for _, list := range []*texts{&b.Inputs, &b.Artifacts, &b.Reports.JUnit, &b.Reports.SARIF} {
		k.patterns(list)
	}
	for i := range b.Caches {
		k.cache(&b.Caches[i])
	}
	for i := range b.Needs.Artifacts.List {
		k.text(&b.Needs.Artifacts.List[i], needRule)
	}
	if r := b.Retries.Times; r.Value > plan.MaxRetries {
		k.report.errorf(r.at, "a task is tried again at most %d times", plan.MaxRetries)
	}
}

func (k *checker) wideEnvironment(env environment) { k.environment(env, wideEnvironment) }

// environment checks variables. Those that steer programs may be set here, unlike
// by parameters: whoever writes the file chooses the programs as well.
func (k *checker) environment(env environment, may rule) {
	for i := range env {
		v := &env[i]
		name := v.Name.Value
		if !validVariable(name) {
			k.report.errorf(v.Name.at, "%q cannot be the name of an environment variable", name)
		}
		if strings.HasPrefix(name, "VELOCITY_GIT_") || strings.HasPrefix(name, "VELOCITY_BUILD_") {
			k.report.errorf(v.Name.at, "the variable %s tells the truth about the build, so it cannot be set", name)
		}
		k.text(&v.Value, may)
	}
}

func (k *checker) patterns(list *texts) {
	for i := range list.List {
		t := &list.List[i]
		k.text(t, patternRule)
		if v, ok := k.literal(t); ok && !validPathPattern(v) || t.Set && t.Value == "" {
			badPath(k.report, t.at, v)
		}
	}
}

func (k *checker) cache(c *cache) {
	k.text(&c.Key, cacheKeyRule)
	k.patterns(&c.Files)
	for i := range c.Paths.List {
		t := &c.Paths.List[i]
		k.text(t, rule{field: "a path of a cache", before: -1})
		v, ok := k.literal(t)
		if clean, within := inside(v); ok && (!within || clean == "." || v[0] == '-') {
			k.report.errorf(t.at, "%q is not a path in the workspace that can be cached", v)
		}
	}
	if c.Paths.Set && len(c.Paths.List) == 0 {
		k.report.errorf(c.Paths.at, "the cache has no paths")
	}
}

// build checks a build step.
func (k *checker) build(s *buildStep) {
	k.path(&s.Dockerfile, "dockerfile")
	k.path(&s.Context, "context")
	k.tags(&s.Tags)
	k.text(&s.Target, rule{field: "target", late: true, before: -1})
	if v, ok := k.literal(&s.Target); ok && !validName(v) {
		k.report.errorf(s.Target.at, "%q cannot be the name of a stage", v)
	}
	for i := range s.Args {
		a := &s.Args[i]
		if !validVariable(a.Name.Value) {
			k.report.errorf(a.Name.at, "%q cannot be the name of an argument", a.Name.Value)
		}
		k.text(&a.Value, rule{field: "args", taint: true, late: true, before: -1})
	}
	for _, p := range s.Platforms.List {
		if !validPlatform.MatchString(p.Value) {
			k.report.errorf(p.at, "%q is not a platform", p.Value).Hint = "such as linux/amd64 or linux/arm/v7"
		}
	}
}

var (
	validPlatform = regexp.MustCompile(`^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?$`)
	validAlias    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$`) // within maxAlias
)

// maxAlias bounds the name of a service, in bytes, as DNS does.
const maxAlias = 63

// services checks the containers beside a run step.
func (k *checker) services(s *runStep) {
	var taken []string
	for i := range s.Services {
		v := &s.Services[i]
		if !s.Image.Set {
			k.report.errorf(v.at, "services are reached from a container, but the step has no image")
		}
		k.text(&v.Image, rule{field: "image", late: true, before: -1})
		image, known := k.literal(&v.Image)
		if v.Image.Set && v.Image.Value == "" || known && !validImage(image) {
			k.report.errorf(v.Image.at, "%q cannot be the name of an image", image)
		}
		k.environment(v.Environment, stepEnvironment)
		for _, list := range [][]text{v.Command.List, v.Ready.List} {
			k.arguments(list)
		}
		alias := serviceAlias(v, image)
		switch {
		case alias == "" && !known && len(v.Image.refs) > 0:
			// The image is not known yet, and its name may do.
		case len(alias) > maxAlias || !validAlias.MatchString(alias):
			k.report.errorf(v.at, "%q cannot be the name of a host", alias).Hint = "give the service an alias of letters, digits and dashes"
		case slices.Contains(taken, alias):
			k.report.errorf(v.at, "two services are called %s", alias).Hint = "give each an alias of its own"
		}
		taken = append(taken, alias)
	}
}

// serviceAlias is the host name of a service: its alias, or the last word of its
// image's path.
func serviceAlias(s *service, image string) string {
	if s.Alias.Set {
		return s.Alias.Value
	}
	image, _, _ = strings.Cut(image, "@")
	image = image[strings.LastIndex(image, "/")+1:]
	name, _, _ := strings.Cut(image, ":")
	return name
}

// checkClosure checks what a blueprint and those that it includes say together.
// What changes the world is not repeated.
func (c *Config) checkClosure(b *blueprint, r *report) {
	if len(c.needs(b)) > maxNeeds {
		r.errorf(b.at, "blueprint %s needs artifacts of more than %d tasks by name", b.name, maxNeeds)
	}
	for _, part := range c.closure(b) {
		if part.Effects.Value && b.Retries.Times.Value > 0 {
			r.errorf(b.Retries.Times.at, "a blueprint with effects is not repeated by itself").Hint = "leave retries out"
			return
		}
	}
}

// maxNeeds bounds the tasks whose artifacts one task asks for by name.
const maxNeeds = 100

// needs lists what a task of b needs, that of included blueprints as well.
func (c *Config) needs(b *blueprint) []*text {
	var list []*text
	for _, part := range c.closure(b) {
		for i := range part.Needs.Artifacts.List {
			if list = append(list, &part.Needs.Artifacts.List[i]); len(list) > maxNeeds {
				return list
			}
		}
	}
	return list
}

// checkNeeds looks for the tasks that an entry's blueprint needs among those of
// earlier stages. Names that are made of values are looked for when the plan is
// drawn.
func (c *Config) checkNeeds(e *entry, earlier map[string]bool, r *report) {
	b, ok := c.blueprints[e.Name.Value]
	if !ok || b.broken {
		return
	}
	for _, need := range c.needs(b) {
		if len(need.refs) == 0 && need.Set && !earlier[blueprintOf(need.Value)] {
			f := r.errorf(e.Name.at, "blueprint %s needs artifacts of %q, which no earlier stage builds", b.name, need.Value)
			if !r.full() {
				r.didYouMean(f, need.Value, slices.Sorted(maps.Keys(earlier)))
			}
		}
	}
}

// blueprintOf is the blueprint after which a task is named.
func blueprintOf(task string) string {
	if i := strings.IndexAny(task, " #"); i >= 0 {
		return task[:i]
	}
	return task
}
