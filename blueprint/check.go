package blueprint

import (
	"maps"
	"slices"
	"strings"
)

// maxIncludes bounds the blueprints that one blueprint includes directly.
const maxIncludes = 100

// check finds what is wrong with the meaning of files whose form has been read.
func check(c *Config, r *report) {
	c.link(r)
	checkCycles(c, r)
	c.root.Parameters.check(r)
	wide := &checker{report: r, scope: c.rootScope(), value: unknownYet}
	wide.wideEnvironment(c.root.Environment)
	for _, name := range slices.Sorted(maps.Keys(c.blueprints)) {
		c.checkBlueprint(c.blueprints[name], r)
	}
	for _, name := range slices.Sorted(maps.Keys(c.pipelines)) {
		c.checkPipeline(c.pipelines[name], r)
	}
}

// link finds the blueprints that steps include.
func (c *Config) link(r *report) {
	names := slices.Sorted(maps.Keys(c.blueprints))
	for i, name := range names {
		b := c.blueprints[name]
		b.id = i
		b.imply()
		for _, s := range b.Steps {
			if s.run != nil {
				s.run.noteMentions()
			}
			if s.blueprint == nil {
				continue
			}
			for _, word := range s.blueprint.included() {
				inner, ok := c.blueprints[word.Value]
				if ok && len(inner.Matrix.names()) > 0 {
					r.warnf(word.at, "blueprint %s has a matrix, which does not count where its steps are included", inner.name).Hint =
						"give the matrix to the blueprint that includes it"
				}
				if !ok {
					unknownBlueprint(r, word, names)
				} else if !slices.Contains(b.includes, inner) {
					b.includes = append(b.includes, inner)
				}
				if len(b.includes) > maxIncludes {
					r.errorf(word.at, "more than %d blueprints are included", maxIncludes)
					b.includes = b.includes[:maxIncludes]
					break
				}
			}
		}
	}
}

func unknownBlueprint(r *report, word word, names []string) {
	if word.Set {
		f := r.errorf(word.at, "there is no blueprint %q", word.Value)
		r.didYouMean(f, word.Value, names)
	}
}

// checkCycles walks the inclusions and reports each that leads back to where it
// came from.
func checkCycles(c *Config, r *report) {
	done := make([]bool, len(c.blueprints))
	onPath := make([]bool, len(c.blueprints))
	var path []string
	var visit func(b *blueprint)
	visit = func(b *blueprint) {
		if done[b.id] {
			return
		}
		onPath[b.id] = true
		path = append(path, b.name)
		for _, inner := range b.includes {
			if onPath[inner.id] {
				cycle := append(slices.Clone(path[slices.Index(path, inner.name):]), inner.name)
				r.errorf(b.inclusion(inner), "blueprints include each other in a circle: %s", circle(cycle))
				continue
			}
			visit(inner)
		}
		path = path[:len(path)-1]
		onPath[b.id], done[b.id] = false, true
	}
	for _, name := range slices.Sorted(maps.Keys(c.blueprints)) {
		visit(c.blueprints[name])
	}
}

// A circle prints itself whole, however long: message texts are cut, it is not.
type circle []string

func (c circle) String() string {
	const shown = 20
	if len(c) > shown {
		c = append(append(slices.Clone(c[:shown/2]), "…"), c[len(c)-shown/2:]...)
	}
	return strings.Join(c, " → ")
}

// inclusion is the place where b names inner.
func (b *blueprint) inclusion(inner *blueprint) Position {
	for _, s := range b.Steps {
		if s.blueprint == nil {
			continue
		}
		for _, word := range s.blueprint.included() {
			if word.Value == inner.name {
				return word.at
			}
		}
	}
	return b.at
}

// closure lists b and the blueprints it includes, directly or not, in the order
// of their first mention.
func (c *Config) closure(b *blueprint) []*blueprint {
	seen := make([]bool, len(c.blueprints))
	var list []*blueprint
	var visit func(b *blueprint)
	visit = func(b *blueprint) {
		if seen[b.id] {
			return
		}
		seen[b.id] = true
		list = append(list, b)
		for _, inner := range b.includes {
			visit(inner)
		}
	}
	visit(b)
	return list
}

func (c *Config) checkBlueprint(b *blueprint, r *report) {
	if b.broken {
		return
	}
	if len(b.Steps) == 0 {
		r.errorf(b.at, "blueprint %s has no steps", b.name)
	}
	b.own().check(r)
	b.scope = c.scope(b, byDefault)
	if b.scope.over {
		r.errorf(b.at, "more than %d parameters, those of included blueprints counted", maxParameters)
		return
	}
	k := &checker{report: r, scope: b.scope, value: unknownYet, predicates: c.predicates}
	b.Matrix.check(b, r)
	k.parameters()
	k.labels(b.Labels)
	k.task(b)
	for i := range b.Steps {
		k.step(&b.Steps[i])
	}
	c.checkClosure(b, r)
	c.checkReuse(b, k)
	c.checkImages(b, k)
}

// unknownYet is the lookup before a plan is drawn: no parameter has a value.
func unknownYet(string) (string, bool) { return "", false }

func (c *Config) checkPipeline(p *pipeline, r *report) {
	if p.broken {
		return
	}
	if !slices.ContainsFunc(p.Stages, func(s stage) bool { return len(s.Blueprints) > 0 }) {
		r.errorf(p.at, "pipeline %s has no stage with a blueprint", p.name)
	}
	if p.On != nil {
		p.On.check(r)
	}
	p.Concurrency.check(&checker{report: r, scope: &scope{}, value: unknownYet})
	wide := &checker{report: r, scope: c.rootScope(), value: unknownYet}
	wide.wideEnvironment(p.Environment)
	names := slices.Sorted(maps.Keys(c.blueprints))
	earlier := map[string]bool{}
	for _, s := range p.Stages {
		if len(s.Blueprints) == 0 {
			r.warnf(s.at, "the stage has no blueprints and is left out")
		}
		for i := range s.Blueprints {
			c.checkEntry(&s.Blueprints[i], names, r)
			c.checkNeeds(&s.Blueprints[i], earlier, r)
		}
		for _, e := range s.Blueprints {
			earlier[e.Name.Value] = true
		}
	}
}

// checkEntry checks the values that a pipeline gives to a blueprint.
func (c *Config) checkEntry(e *entry, names []string, r *report) {
	b, ok := c.blueprints[e.Name.Value]
	if !ok {
		unknownBlueprint(r, e.Name, names)
		return
	}
	if b.broken {
		return
	}
	s := b.scope
	k := &checker{report: r, scope: s, value: unknownYet, predicates: c.predicates}
	k.when(&e.When)
	for i := range e.Parameters {
		given := &e.Parameters[i]
		d, ok := s.names[given.Name.Value]
		if !ok || d.owner.basic == nil {
			f := r.errorf(given.Name.at, "blueprint %s has no parameter %q that a value can be given to", b.name, given.Name.Value)
			r.didYouMean(f, given.Name.Value, s.basics())
			continue
		}
		k.given(d, given)
		if len(given.Value.refs) > 0 && b.Matrix.gives(given.Name.Value) {
			r.errorf(given.Value.at, "%q chooses among the combinations of a matrix, so nothing is expanded in its value", given.Name.Value)
		}
	}
}

// value is the text that gives a parameter its value in this task.
func (e *entry) value(b *basic) *text {
	for i := range e.Parameters {
		if e.Parameters[i].Name.Value == b.Name.Value {
			return &e.Parameters[i].Value
		}
	}
	return byDefault(b)
}

// basics lists the names that a value can be given to.
func (s *scope) basics() []string {
	var names []string
	for _, p := range s.order {
		if p.basic != nil {
			names = append(names, p.basic.Name.Value)
		}
	}
	return names
}
