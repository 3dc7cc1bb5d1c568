package blueprint

import (
	"slices"
	"strings"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A rule says what a text may be made of, depending on where it stands.
type rule struct {
	field  string
	taint  bool // text that whoever pushes can choose
	secret bool
	late   bool // what is known only when the task is set up
	before int  // only parameters with a lower index; -1 for all
}

// A checker checks texts in a scope. It does so twice: when the files are loaded,
// without values, and when a plan is drawn, with them.
type checker struct {
	report *report
	scope  *scope
	value  func(name string) (string, bool)

	predicates predicates // nil when a plan is drawn: they are all made by then
}

// text checks the references of one text.
func (k *checker) text(t *text, may rule) {
	for _, ref := range t.refs {
		k.reference(ref, may)
	}
}

func (k *checker) reference(ref reference, may rule) {
	if b, ok := lookupBuiltIn(ref.name); ok {
		if b.tainted() && !may.taint {
			k.refuseTaint(ref, may, ref.name+cleanSuffix)
		}
		if !b.git && !may.late {
			k.report.errorf(ref.at, "%s may not use ${%s}, which is known only when a build begins", may.field, ref.name)
		}
		return
	}
	d, ok := k.scope.names[ref.name]
	switch {
	case !ok && !k.scope.open:
		k.unknown(ref)
	case !ok && !may.late, ok && d.class == exported && !may.late:
		k.report.errorf(ref.at, "%s may not use ${%s}, which an executable derives when the task is set up", may.field, ref.name)
	case !ok:
	case d.class == secret && !may.secret:
		k.report.errorf(ref.at, "%s may not use the secret parameter ${%s}", may.field, ref.name).Hint =
			"secrets can stand in the command, environment and tags of a step"
	case may.before >= 0 && d.index >= may.before:
		k.report.errorf(ref.at, "%s may not use ${%s}, which is declared later", may.field, ref.name)
	case d.tainted && !may.taint:
		k.refuseTaint(ref, may, "")
	}
}

func (k *checker) unknown(ref reference) {
	f := k.report.errorf(ref.at, "there is no parameter %q", ref.name)
	if k.report.full() {
		return
	}
	f.Hint = "write $${" + shorten(ref.name, 40) + "} if the program shall see it as it stands"
	if n := nearest(ref.name, k.scope.all()); n != "" {
		f.Hint = "did you mean ${" + n + "}? Or " + f.Hint
	}
}

// refuseTaint names the safe form: an environment variable, whose text is never
// read as code, or the form without dangerous characters.
func (k *checker) refuseTaint(ref reference, may rule, safe string) {
	f := k.report.errorf(ref.at, "%s may not use ${%s}: whoever pushes chooses its text", may.field, ref.name)
	f.Hint = `use "$` + plan.EnvName(ref.name) + `" in a script`
	if safe != "" {
		f.Hint += ", or ${" + safe + "}"
	}
}

// literal is the text with everything expanded, if all of it is known.
func (k *checker) literal(t *text) (string, bool) {
	if expandedSize(t, k.value) > maxValue {
		return "", false // which is an error where the text is drawn
	}
	s, err := t.parsed.Expand(k.value)
	return s, err == nil && t.Set && t.parsed != ""
}

// parameters checks the defaults and arguments of the whole scope.
func (k *checker) parameters() {
	for i, p := range k.scope.order {
		switch {
		case p.basic != nil:
			k.text(&p.basic.Default, rule{field: "default", taint: true, before: i})
		case p.derived != nil:
			for j := range p.derived.Arguments {
				k.text(&p.derived.Arguments[j].Value, rule{field: "an argument of an executable", late: true, before: i})
			}
		}
	}
}

// given checks a value that a pipeline gives.
func (k *checker) given(d *declaration, v *variable) {
	b := d.owner.basic
	k.text(&v.Value, rule{field: "a value of a parameter", taint: true, before: d.index})
	if d.class == secret {
		k.report.warnf(v.Value.at, "the value of the secret parameter %q stands in the repository for everybody to read", b.Name.Value)
		return
	}
	value, ok := k.literal(&v.Value)
	if options := b.options(); ok && len(options) > 0 && !slices.Contains(options, value) {
		f := k.report.errorf(v.Value.at, "parameter %q cannot be %q", b.Name.Value, value)
		f.Hint = "it can be " + shorten(strings.Join(options, ", "), 200)
	}
}

func (k *checker) registry(r *registry) {
	may := rule{field: "a registry", secret: true, late: true, before: -1}
	for _, t := range []*text{&r.Address, &r.Username, &r.Password} {
		k.text(t, may)
	}
	for i := range r.Arguments {
		k.text(&r.Arguments[i].Value, may)
	}
	if r.Password.Set && len(r.Password.refs) == 0 {
		k.report.warnf(r.Password.at, "the password stands in the repository for everybody to read").Hint =
			"declare a parameter with secret: true and refer to it"
	}
	if isURL(r.Use.Value) {
		k.report.warnf(r.Use.at, "%s", urlRefusal).Hint = urlHint
	}
	if !r.Address.Set && !r.Use.Set {
		k.report.errorf(r.at, "a registry needs an address or an executable to use")
	}
}
