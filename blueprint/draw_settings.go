package blueprint

import (
	"fmt"
	"maps"
	"slices"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// combinations are the values of the entry's matrix that are wanted: all, or those
// that have the values that somebody gave.
func (d *drawer) combinations(e *entry) []combination {
	m := &d.config.blueprints[e.Name.Value].Matrix
	all := m.combinations()
	for _, name := range m.names() {
		want, ok := d.given(name.Value)
		if ok {
			d.declared[name.Value] = true
		} else if i := slices.IndexFunc(e.Parameters, func(v variable) bool { return v.Name.Value == name.Value }); i >= 0 {
			want, ok = e.Parameters[i].Value.Value, true
		}
		if !ok {
			continue
		}
		kept := slices.DeleteFunc(slices.Clone(all), func(c combination) bool { v, has := c.value(name.Value); return !has || v != want })
		if len(kept) == 0 {
			d.fail(&ValueError{Name: name.Value, Why: fmt.Sprintf("has that value in no combination of the matrix of %s", e.Name.Value)})
			return nil
		}
		all = kept
	}
	return all
}

// settings draws what a task has beside its parameters and steps. Timeout,
// retries and inputs are the blueprint's own; the others count also where they
// stand in a blueprint that it includes.
func (t *task) settings(out *plan.Task, b *blueprint) {
	out.Timeout = plan.Duration(b.Timeout.Value)
	out.Git = plan.Git{Submodule: t.config.root.Git.Submodule.Value, Depth: t.config.root.Git.Depth.Value}
	if b.Retries.Times.Value > 0 {
		out.Retry = plan.Retry{Times: b.Retries.Times.Value, Backoff: plan.Duration(b.Retries.Backoff.Value)}
	}
	out.Labels = t.labels(b)
	env := t.environment(b)
	t.check.wideEnvironment(env)
	out.Environment = t.variables(env)
	out.Needs = t.needs(b)
	out.Inputs = t.patterns(&b.Inputs)
	for _, part := range t.config.closure(b) {
		out.Effects = out.Effects || part.Effects.Value
		out.Artifacts = append(out.Artifacts, t.patterns(&part.Artifacts)...)
		out.Reports.JUnit = append(out.Reports.JUnit, t.patterns(&part.Reports.JUnit)...)
		out.Reports.SARIF = append(out.Reports.SARIF, t.patterns(&part.Reports.SARIF)...)
		for i := range part.Docker.Registries {
			out.Registries = append(out.Registries, t.registry(&part.Docker.Registries[i]))
		}
		for i := range part.Caches {
			out.Caches = append(out.Caches, t.cache(&part.Caches[i]))
		}
	}
}

// environment is that of all steps of a blueprint. The closer to the task a
// variable is set, the more it counts: the root file's, the pipeline's, those of
// included blueprints in the order of their mention, the blueprint's own.
func (d *drawer) environment(b *blueprint) environment {
	if known, ok := d.environments[b]; ok {
		return known
	}
	layers := []environment{d.config.root.Environment, d.pipeline.Environment}
	for _, part := range slices.Backward(d.config.closure(b)) {
		layers = append(layers, part.Environment)
	}
	merged, index := environment{}, map[string]int{}
	for _, v := range slices.Concat(layers...) {
		i, ok := index[v.Name.Value]
		if !ok {
			i = len(merged)
			index[v.Name.Value], merged = i, append(merged, v)
		}
		merged[i] = v
	}
	d.environments[b] = merged
	return merged
}

// patterns expands patterns, which the plan must know whole.
func (t *task) patterns(list *texts) []string {
	t.check.patterns(list)
	var out []string
	for i := range list.List {
		x := &list.List[i]
		if v, ok := t.expand(x); ok && t.spend(x.at, len(v)) {
			out = append(out, v)
		}
	}
	return out
}

func (t *task) cache(c *cache) plan.Cache {
	t.check.cache(c)
	out := plan.Cache{Key: t.resolve(&c.Key), Files: t.patterns(&c.Files)}
	for i := range c.Paths.List {
		x := &c.Paths.List[i]
		if v, ok := t.expand(x); ok && t.spend(x.at, len(v)) {
			clean, _ := inside(v)
			out.Paths = append(out.Paths, clean)
		}
	}
	return out
}

func (t *task) registry(r *registry) plan.Registry {
	t.check.registry(r)
	if isURL(r.Use.Value) {
		t.report.errorf(r.Use.at, "%s", urlRefusal).Hint = urlHint
	}
	return plan.Registry{
		Address: t.resolve(&r.Address), Username: t.resolve(&r.Username), Password: t.resolve(&r.Password),
		Use: r.Use.Value, Arguments: t.variables(r.Arguments), At: r.at.String(),
	}
}

// remember makes the tasks of a stage known to later ones.
func (d *drawer) remember(s plan.Stage) {
	for i := range s.Tasks {
		t := &s.Tasks[i]
		d.byKey[t.Key] = t
		d.earlier[t.Name] = append(d.earlier[t.Name], t)
		if t.Name != t.Blueprint {
			d.earlier[t.Blueprint] = append(d.earlier[t.Blueprint], t)
		}
	}
}

// needs are the keys of the tasks of earlier stages that a blueprint names. A
// blueprint that is built on its own finds in its workspace what there is, and a
// task that was skipped left nothing.
func (t *task) needs(b *blueprint) []string {
	if t.pipeline.name == "" {
		return nil
	}
	var keys []string
	seen := map[string]bool{}
	for _, need := range t.config.needs(b) {
		t.check.text(need, needRule)
		name, ok := t.expand(need)
		if ok && len(t.earlier[name]) == 0 {
			f := t.report.errorf(need.at, "no task of an earlier stage is called %q", name)
			t.report.didYouMean(f, name, slices.Sorted(maps.Keys(t.earlier)))
		}
		for _, other := range t.earlier[name] {
			if !other.Skip && !seen[other.Key] && t.spend(need.at, len(other.Key)) {
				seen[other.Key] = true
				keys = append(keys, other.Key)
			}
		}
	}
	return keys
}
