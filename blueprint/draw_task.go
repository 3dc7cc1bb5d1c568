package blueprint

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A task draws one task.
type task struct {
	*drawer
	check checker

	entry       *entry
	combination combination // of the matrix
	scope       *scope
	values      map[string]string // of the parameters that are known
}

// task draws the task of one combination. One whose condition is false has nothing
// to do, so nothing is missing for it either.
func (d *drawer) task(key string, e *entry, c combination) plan.Task {
	b := d.config.blueprints[e.Name.Value]
	t := &task{drawer: d, entry: e, combination: c, values: map[string]string{}}
	t.scope = d.config.scope(b, t.source)
	t.check = checker{report: &d.report, scope: t.scope, value: t.value}
	missing := len(d.missing)
	out := plan.Task{Key: key, Blueprint: b.name, Description: b.Description.Value, MayFail: e.IgnoreErrors.Value}
	parameters := t.parameters()
	out.Name = d.unique(b.name + t.label())
	t.spend(b.at, len(out.Name)+len(out.Description))
	if !t.holds(&e.When) {
		d.missing = d.missing[:missing]
		out.Skip, out.Steps = true, []plan.Step{}
		return out
	}
	if out.Parameters = parameters; len(d.missing) > 0 || d.err != nil {
		return out // texts that use what is missing would be full of false errors
	}
	t.settings(&out, b)
	for _, p := range d.steps(b) {
		if s, ok := t.step(p); ok {
			out.Steps = append(out.Steps, s)
		}
	}
	out.ReuseKey = t.reuseKey(&out, b)
	return out
}

// source is the text that gives a parameter its value, nil if a person did or the
// matrix.
func (t *task) source(b *basic) *text {
	if _, ok := t.combination.value(b.Name.Value); ok {
		return nil
	}
	if _, ok := t.outside(b); ok {
		return nil
	}
	return t.entry.value(b)
}

// outside looks for a parameter's value outside the repository. That of a secret
// does not matter.
func (d *drawer) outside(b *basic) (string, bool) {
	if v, ok := d.given(b.Name.Value); ok {
		return v, true
	}
	return "", b.Secret.Value && d.req.Stored != nil && d.req.Stored(b.Name.Value)
}

// given looks for a value from outside the repository.
func (d *drawer) given(name string) (string, bool) {
	if v, ok := d.req.Given[name]; ok {
		return v, true
	}
	if v, ok := d.req.Trigger.Parameters[name]; ok {
		return v, true
	}
	if d.req.Lookup != nil {
		return d.req.Lookup(name)
	}
	return "", false
}

// value is what the plan knows about a name.
func (t *task) value(name string) (string, bool) {
	if b, ok := lookupBuiltIn(name); ok {
		if !b.git {
			return "", false
		}
		if b.clean {
			return t.cleanValue(b.base), true
		}
		return t.gitValue(b.base), true
	}
	v, ok := t.values[name]
	return v, ok
}

func (t *task) parameters() []plan.Parameter {
	var out []plan.Parameter
	for _, p := range t.scope.order {
		switch {
		case p.derived != nil:
			out = append(out, t.derived(p))
		default:
			if q, ok := t.basic(p.basic); ok {
				out = append(out, q)
			}
		}
	}
	return out
}

// basic finds a parameter's value, or notes that it is missing.
func (t *task) basic(b *basic) (plan.Parameter, bool) {
	name := b.Name.Value
	out := plan.Parameter{Name: name, Secret: b.Secret.Value}
	t.declared[name] = true
	if v, ok := t.combination.value(name); ok {
		out.Value = &v
	} else if v, ok := t.outside(b); ok {
		if err := checkValue(b, v); err != nil {
			t.fail(err)
		}
		if b.Secret.Value {
			return out, true
		}
		out.Value = &v
	} else if source := t.entry.value(b); source != nil {
		t.check.text(source, rule{field: "a value of a parameter", taint: true, before: -1})
		v, ok := t.expand(source)
		if !ok {
			return out, false
		}
		out.Value = &v
	} else {
		t.miss(b)
		return out, false
	}
	t.spend(b.at, len(*out.Value))
	if !b.Secret.Value {
		t.values[name] = *out.Value
	}
	return out, true
}

func (t *task) miss(b *basic) {
	for _, m := range t.missing {
		if m.Name == b.Name.Value {
			return
		}
	}
	t.missing = append(t.missing, Missing{Name: b.Name.Value, Secret: b.Secret.Value, Options: b.options()})
}

// checkValue refuses given values that could not reach a step unchanged.
func checkValue(b *basic, v string) error {
	options := b.options()
	err := &ValueError{Name: b.Name.Value, Options: options}
	switch {
	case b.Secret.Value:
		return nil
	case len(options) > 0 && !slices.Contains(options, v):
		err.Why = "can only be " + strings.Join(options, ", ")
	case len(v) > maxValue:
		err.Why = "is longer than 64 KiB"
	case strings.IndexByte(v, 0) >= 0 || !utf8.ValidString(v):
		err.Why = "is not UTF-8 text without NUL characters"
	default:
		return nil
	}
	return err
}

func (t *task) derived(p *parameter) plan.Parameter {
	v := p.derived
	out := &plan.Derived{Use: v.Use.Value, SHA256: v.SHA256.Value, Timeout: plan.Duration(v.Timeout.Value), At: v.at.String()}
	if !isURL(v.Use.Value) {
		out.Use, _ = inside(v.Use.Value)
	} else if why, hint := v.refusesAddress(); why != "" {
		t.report.errorf(v.Use.at, "%s", why).Hint = hint
	}
	for i := range v.Arguments {
		a := &v.Arguments[i]
		t.check.text(&a.Value, rule{field: "an argument of an executable", late: true, before: -1})
		out.Arguments = append(out.Arguments, plan.Variable{Name: a.Name.Value, Value: t.resolve(&a.Value)})
	}
	for _, x := range v.Exports.list {
		// A name that is declared closer to the task is not this parameter's.
		if d := t.scope.names[x.to.Value]; d == nil || d.owner != p {
			continue
		}
		if out.Exports == nil {
			out.Exports = map[string]string{}
		}
		out.Exports[x.from.Value] = x.to.Value
	}
	return plan.Parameter{Secret: v.Secret.Value, Derived: out}
}

// label tells the tasks of one blueprint apart by the values of the matrix and
// those given to them.
func (t *task) label() string {
	var given []string
	for _, p := range t.combination {
		given = append(given, p.name.Value+"="+printable(shorten(p.value.Value, 40)))
	}
	for _, p := range t.scope.order {
		if p.basic == nil {
			continue
		}
		name := p.basic.Name.Value
		v, ok := t.values[name]
		if _, listed := t.combination.value(name); !listed && ok && t.entry.gives(name) {
			given = append(given, name+"="+printable(shorten(v, 40)))
		}
	}
	if len(given) == 0 {
		return ""
	}
	return " (" + strings.Join(given, ", ") + ")"
}

func (e *entry) gives(name string) bool {
	return slices.ContainsFunc(e.Parameters, func(v variable) bool { return v.Name.Value == name })
}

// printable replaces what would break a line or steer a terminal.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 {
			return ' '
		}
		return c
	}, s)
}

// expand replaces all references of a text whose value must be known now.
func (t *task) expand(x *text) (string, bool) {
	if !t.fits(x) {
		return "", false
	}
	v, err := x.parsed.Expand(t.value)
	return v, err == nil
}

// resolve replaces the references that are known now.
func (t *task) resolve(x *text) plan.Text {
	if !t.spend(x.at, len(x.parsed)) || !t.fits(x) {
		return ""
	}
	if len(x.refs) == 0 {
		return x.parsed
	}
	out, err := x.parsed.Resolve(t.value)
	if err != nil {
		t.fail(err)
	}
	t.spend(x.at, len(out))
	return out
}

// fits measures the expanded text before there is one.
func (t *task) fits(x *text) bool {
	if expandedSize(x, t.value) > maxValue {
		t.report.errorf(x.at, "the text is longer than %d KiB once it is expanded", maxValue>>10)
		return false
	}
	return true
}

// expandedSize adds up what the text and its values hold, and stops when that is
// too much.
func expandedSize(x *text, value func(name string) (string, bool)) int {
	size := len(x.parsed)
	for _, ref := range x.refs {
		v, _ := value(ref.name)
		if size += len(v); size > maxValue {
			break
		}
	}
	return size
}
