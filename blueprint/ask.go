package blueprint

import (
	"cmp"
	"slices"
)

// A Parameter is one that whoever starts a pipeline or blueprint can give a value.
// What stands in files is as it is written there, references included.
type Parameter struct {
	Name        string
	Description string
	Defaults    []string // what tasks have for it where nobody gives a value, each text once
	All         bool     // some task is there for each of the options where nobody gives a value
	Required    bool     // some task, under no condition, has nothing for it
	Options     []string // the only values that it can have in all tasks; nil if it can have any
}

// Parameters lists what can be given a value by whoever starts the pipeline or
// blueprint of a name, in the order in which its tasks know them: what is neither
// derived nor secret in any of them. The errors are those of Draw that are about files
// and about the name.
func (c *Config) Parameters(name string) ([]Parameter, error) {
	p, _, err := c.find(name)
	if err != nil {
		return nil, err
	}
	if err := c.readable(p.file, p.Stages); err != nil {
		return nil, err
	}
	a := asked{secret: map[string]bool{}}
	for i := range p.Stages {
		for j := range p.Stages[i].Blueprints {
			e := &p.Stages[i].Blueprints[j]
			a.entry(c.blueprints[e.Name.Value], e)
		}
	}
	return slices.DeleteFunc(a.list, func(p Parameter) bool { return a.secret[p.Name] }), nil
}

// asked are the parameters of some tasks.
type asked struct {
	list   []Parameter
	index  map[string]int // in list, by name
	secret map[string]bool
}

// entry adds those of the tasks of blueprint b as the entry has it.
func (a *asked) entry(b *blueprint, e *entry) {
	for _, p := range b.scope.order {
		switch {
		case p.basic == nil:
		case p.basic.Secret.Value:
			a.secret[p.basic.Name.Value] = true
		default:
			a.add(b, e, p.basic)
		}
	}
}

func (a *asked) add(b *blueprint, e *entry, one *basic) {
	name := one.Name.Value
	p := a.named(name)
	p.Description = cmp.Or(p.Description, one.Description.Value)
	options, value := one.options(), e.value(one)
	if b.Matrix.gives(name) {
		options = b.Matrix.options(name)
	}
	switch {
	case b.Matrix.gives(name) && !e.gives(name):
		p.All = true
	case value != nil && !slices.Contains(p.Defaults, value.Value):
		p.Defaults = append(p.Defaults, value.Value)
	case value == nil && !e.When.Set:
		p.Required = true
	}
	switch {
	case p.Options == nil:
		p.Options = options
	case options != nil:
		p.Options = slices.DeleteFunc(slices.Clone(p.Options), func(v string) bool { return !slices.Contains(options, v) })
	}
}

// named is the parameter of a name, which is added if it is new.
func (a *asked) named(name string) *Parameter {
	i, ok := a.index[name]
	if !ok {
		if a.index == nil {
			a.index = map[string]int{}
		}
		i = len(a.list)
		a.index[name], a.list = i, append(a.list, Parameter{Name: name})
	}
	return &a.list[i]
}

// options are the values that the matrix gives to a name, each once.
func (m *matrix) options(name string) []string {
	all := []string{}
	for _, c := range m.combinations() {
		if v, ok := c.value(name); ok && !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}
