package blueprint

import "slices"

// maxParameters bounds the names that parameters bring into one task.
const maxParameters = 256

// A class tells when a parameter's value is there.
type class int

const (
	known    class = iota // when the plan is drawn
	secret                // only in the steps that may see it
	exported              // when its executable has run; it may turn out to be secret
)

// A declaration is a name in scope.
type declaration struct {
	owner   *parameter
	index   int // of the owner in the scope's order
	class   class
	tainted bool
}

// A scope is the parameters that the texts of one task can refer to.
type scope struct {
	order []*parameter // each can use those before it
	names map[string]*declaration
	open  bool // some executable may export any name
	over  bool // there are more than maxParameters names
}

// A valueSource tells which text gives a parameter its value: nil if nobody
// gave one, or a person gave it literally.
type valueSource func(b *basic) *text

// byDefault is what parameters are when nothing is given.
func byDefault(b *basic) *text {
	if b.Default.Set {
		return &b.Default
	}
	return nil
}

// scope makes the scope of a task of blueprint b.
func (c *Config) scope(b *blueprint, values valueSource) *scope {
	s := &scope{names: map[string]*declaration{}}
	layers := []parameters{b.own(), c.root.Parameters}
	for _, inner := range c.closure(b)[1:] {
		layers = append(layers, inner.own())
	}
	for _, layer := range layers {
		s.declare(layer)
	}
	// The root file's come first, and the blueprint's own stand in their places.
	layers[0], layers[1] = layers[1], layers[0]
	for _, layer := range layers {
		s.arrange(layer)
	}
	s.taint(values)
	return s
}

// rootScope is what texts can refer to that stand in no blueprint.
func (c *Config) rootScope() *scope {
	s := &scope{names: map[string]*declaration{}}
	s.declare(c.root.Parameters)
	s.arrange(c.root.Parameters)
	s.taint(byDefault)
	return s
}

// declare brings those names into scope that nobody has declared yet.
func (s *scope) declare(ps parameters) {
	for i := range ps {
		p := &ps[i]
		s.open = s.open || p.derived != nil && !p.derived.Exports.set
		for _, name := range p.defined() {
			if s.over = len(s.names) > maxParameters; s.over {
				return
			}
			if _, ok := s.names[name.Value]; !ok && name.Set {
				s.names[name.Value] = &declaration{owner: p, class: p.class()}
			}
		}
	}
}

func (p *parameter) class() class {
	switch {
	case p.derived != nil:
		return exported
	case p.basic.Secret.Value:
		return secret
	default:
		return known
	}
}

// arrange appends the parameters, or whoever declared their names before them.
func (s *scope) arrange(ps parameters) {
	for i := range ps {
		p := &ps[i]
		if s.over {
			return
		}
		if p.basic != nil {
			d, ok := s.names[p.basic.Name.Value]
			if !ok {
				continue // it has no name, which is an error of its own
			}
			p = d.owner
		}
		if !slices.Contains(s.order, p) {
			s.order = append(s.order, p)
		}
	}
}

// taint finds out, in order, which values are made of tainted ones.
func (s *scope) taint(values valueSource) {
	for i, p := range s.order {
		for _, name := range p.defined() {
			d := s.names[name.Value]
			if d == nil || d.owner != p {
				continue
			}
			d.index = i
			if p.basic != nil {
				d.tainted = s.taints(values(p.basic))
			}
		}
	}
}

// taints reports whether the text refers to a tainted value.
func (s *scope) taints(t *text) bool {
	if t == nil {
		return false
	}
	for _, ref := range t.refs {
		if b, ok := lookupBuiltIn(ref.name); ok && b.tainted() {
			return true
		}
		if d, ok := s.names[ref.name]; ok && d.tainted {
			return true
		}
	}
	return false
}

// all lists the names that a text can refer to, for suggestions.
func (s *scope) all() []string {
	names := builtInNames()
	for _, p := range s.order {
		for _, name := range p.defined() {
			names = append(names, name.Value)
		}
	}
	return names
}
