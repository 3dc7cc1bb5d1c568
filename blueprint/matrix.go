package blueprint

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// maxSelections bounds the lists include and exclude of a matrix.
const maxSelections = 100

// A matrix gives parameters several values: there is a task for each combination.
type matrix struct {
	spot
	axes             []axis // in the order in which they are written
	include, exclude []selection
}

// An axis is a name and the values that it can have.
type axis struct {
	name   word
	values words
}

// A selection is names with one value each.
type selection struct {
	spot
	pairs []pair
}

type pair struct{ name, value word }

func (m *matrix) read(d *decoder, n *yaml.Node) {
	m.place(d.at(n))
	if n.Kind != yaml.MappingNode {
		if !isNull(n) {
			d.report.errorf(m.at, "expected a matrix, written as a mapping of names to lists, found %s", kind(n))
		}
		return
	}
	d.pairs(n, func(key, value *yaml.Node) {
		switch key.Value {
		case "include":
			m.include = d.selections(value)
		case "exclude":
			m.exclude = d.selections(value)
		default:
			var a axis
			a.name.read(d, key)
			a.values.read(d, value)
			m.axes = append(m.axes, a)
		}
	})
}

// selections reads a list of mappings.
func (d *decoder) selections(n *yaml.Node) []selection {
	if n.Kind != yaml.SequenceNode {
		d.report.errorf(d.at(n), "expected a list of combinations, found %s", kind(n))
		return nil
	}
	list := make([]selection, len(n.Content))
	for i, item := range n.Content {
		item = follow(item)
		list[i].place(d.at(item))
		if item.Kind != yaml.MappingNode {
			d.report.errorf(d.at(item), "expected a combination, written as a mapping of names to values, found %s", kind(item))
			continue
		}
		d.pairs(item, func(key, value *yaml.Node) {
			var p pair
			p.name.read(d, key)
			p.value.read(d, value)
			list[i].pairs = append(list[i].pairs, p)
		})
	}
	return list
}

// names lists what the matrix gives values to: the axes, then what is included.
func (m *matrix) names() []word {
	var names []word
	for _, a := range m.axes {
		names = append(names, a.name)
	}
	for _, s := range m.include {
		for _, p := range s.pairs {
			if !slices.ContainsFunc(names, func(w word) bool { return w.Value == p.name.Value }) {
				names = append(names, p.name)
			}
		}
	}
	return names
}

// gives reports whether the matrix gives a value to the name.
func (m *matrix) gives(name string) bool {
	return slices.ContainsFunc(m.names(), func(w word) bool { return w.Value == name })
}

// A combination is what one task of a matrix gets: names with values, those of the
// axes first.
type combination []pair

func (c combination) value(name string) (string, bool) {
	for _, p := range c {
		if p.name.Value == name {
			return p.value.Value, true
		}
	}
	return "", false
}

// set adds a value, or replaces the one of that name.
func (c *combination) set(p pair) {
	for i := range *c {
		if (*c)[i].name.Value == p.name.Value {
			(*c)[i] = p
			return
		}
	}
	*c = append(*c, p)
}

// has reports whether the combination has all values of the selection.
func (c combination) has(s selection) bool {
	for _, p := range s.pairs {
		if v, ok := c.value(p.name.Value); !ok || v != p.value.Value {
			return false
		}
	}
	return true
}

// size is the number of combinations of the axes, and plan.MaxTasks+1 if there are
// more than a plan can have.
func (m *matrix) size() int {
	if len(m.axes) == 0 {
		return 0
	}
	n := 1
	for _, a := range m.axes {
		if n *= len(a.values.List); n > plan.MaxTasks {
			return plan.MaxTasks + 1
		}
	}
	return n
}

// combinations lists what the tasks of the blueprint get: one empty combination if
// there is no matrix. The last axis changes fastest. Exclusions come first. An
// inclusion is then added to every combination of the axes that has the values it
// gives to axes; if there is none, it is a combination of its own.
func (m *matrix) combinations() []combination {
	if len(m.axes) == 0 && len(m.include) == 0 {
		return []combination{nil}
	}
	var all []combination
	if m.size() > 0 {
		all = m.product()
	}
	all = slices.DeleteFunc(all, m.excludes)
	crossed := len(all)
	for _, s := range m.include {
		fixed, added := m.split(s)
		found := false
		for i := range all[:crossed] {
			if all[i].has(fixed) {
				found = true
				for _, p := range added.pairs {
					all[i].set(p)
				}
			}
		}
		if !found {
			all = append(all, slices.Clone(s.pairs))
		}
	}
	return all
}

func (m *matrix) excludes(c combination) bool { return slices.ContainsFunc(m.exclude, c.has) }

// excludesAll reports whether there is a matrix and no task.
func (m *matrix) excludesAll() bool {
	return len(m.include) == 0 && len(m.axes) > 0 && !slices.ContainsFunc(m.product(), func(c combination) bool { return !m.excludes(c) })
}

// product is every combination of the axes. Each has room of its own, since
// inclusions are added to it.
func (m *matrix) product() []combination {
	all := []combination{nil}
	for _, a := range m.axes {
		var next []combination
		for _, c := range all {
			for _, v := range a.values.List {
				next = append(next, append(slices.Clone(c), pair{a.name, v}))
			}
		}
		all = next
	}
	return all
}

// split tells the values that a selection gives to axes from the others.
func (m *matrix) split(s selection) (fixed, others selection) {
	for _, p := range s.pairs {
		if slices.ContainsFunc(m.axes, func(a axis) bool { return a.name.Value == p.name.Value }) {
			fixed.pairs = append(fixed.pairs, p)
		} else {
			others.pairs = append(others.pairs, p)
		}
	}
	return fixed, others
}

// imply declares the names that the matrix gives and the blueprint does not. One
// that a combination lacks is empty there.
func (b *blueprint) imply() {
	for _, name := range b.Matrix.names() {
		declared := slices.ContainsFunc(b.Parameters, func(p parameter) bool {
			return slices.ContainsFunc(p.defined(), func(w word) bool { return w.Value == name.Value })
		})
		if !declared && name.Set {
			p := parameter{spot: name.spot, basic: &basic{spot: name.spot, Name: name}}
			p.basic.Default.word = word{spot: name.spot, Set: true}
			b.implied = append(b.implied, p)
		}
	}
}

// own are the parameters that the blueprint brings, those of its matrix first.
func (b *blueprint) own() parameters { return append(slices.Clip(b.implied), b.Parameters...) }

// check finds what is wrong with the matrix of blueprint b.
func (m *matrix) check(b *blueprint, r *report) {
	if len(m.include) > maxSelections || len(m.exclude) > maxSelections {
		r.errorf(m.at, "more than %d combinations are included or excluded", maxSelections)
		return
	}
	for _, a := range m.axes {
		m.checkAxis(b, a, r)
	}
	for _, s := range m.include {
		for _, p := range s.pairs {
			b.checkMatrixValue(p.name, p.value, r)
		}
	}
	m.checkExclusions(r)
	switch n := m.size(); {
	case n > plan.MaxTasks:
		r.errorf(m.at, "the matrix has more than %d combinations", plan.MaxTasks)
	case m.excludesAll():
		r.errorf(m.at, "the matrix leaves no combination")
	}
}

func (m *matrix) checkAxis(b *blueprint, a axis, r *report) {
	for i, v := range a.values.List {
		b.checkMatrixValue(a.name, v, r)
		if slices.ContainsFunc(a.values.List[:i], func(w word) bool { return w.Value == v.Value }) {
			r.errorf(v.at, "value %q is here twice", v.Value)
		}
	}
	if len(a.values.List) == 0 {
		r.errorf(a.name.at, "the matrix gives no value to %q", a.name.Value)
	}
}

// checkMatrixValue checks one value against what the blueprint says of its name.
func (b *blueprint) checkMatrixValue(name, value word, r *report) {
	if strings.Contains(value.Value, "${") {
		r.errorf(value.at, "nothing is expanded in a matrix").Hint = "write the values out"
	}
	d, ok := b.scope.names[name.Value]
	switch {
	case !ok:
		// It cannot be the name of a parameter, which is reported as such.
	case d.class != known:
		r.errorf(name.at, "the matrix cannot give a value to %q, which is secret or derived", name.Value)
	case len(d.owner.basic.options()) > 0 && !slices.Contains(d.owner.basic.options(), value.Value):
		r.errorf(value.at, "parameter %q cannot be %q", name.Value, value.Value).Hint =
			"it can be " + shorten(strings.Join(d.owner.basic.options(), ", "), 200)
	}
}

func (m *matrix) checkExclusions(r *report) {
	var axes []string
	for _, a := range m.axes {
		axes = append(axes, a.name.Value)
	}
	for _, s := range m.exclude {
		excludes := true
		for _, p := range s.pairs {
			i := slices.Index(axes, p.name.Value)
			if i < 0 {
				f := r.errorf(p.name.at, "the matrix has no list %q to exclude from", p.name.Value)
				r.didYouMean(f, p.name.Value, axes)
			}
			excludes = excludes && i >= 0 && slices.Contains(m.axes[i].values.values(), p.value.Value)
		}
		if !excludes || len(s.pairs) == 0 {
			r.warnf(s.at, "this excludes nothing")
		}
	}
}
