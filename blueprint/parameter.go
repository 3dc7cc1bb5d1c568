package blueprint

import (
	"reflect"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

type parameters []parameter

// A parameter is basic or derived; exactly one pointer is set, or none if it
// could not be read.
type parameter struct {
	spot
	basic   *basic
	derived *derived
}

type basic struct {
	spot
	Name         word    `yaml:"name" jsonschema:"required" jsonschema_description:"Name, as in ${name}"`
	Description  word    `yaml:"description" jsonschema_description:"For people who give it a value"`
	Default      text    `yaml:"default" jsonschema_description:"Value if none is given"`
	OtherOptions words   `yaml:"otherOptions" jsonschema_description:"The only values allowed beside the default"`
	Secret       boolean `yaml:"secret" jsonschema_description:"Whether the value is kept out of plans, logs and steps that do not ask for it"`
}

func (basic) noun() string { return "a parameter" }

// options lists the values that may be given, none if any may.
func (b *basic) options() []string {
	if !b.OtherOptions.Set || len(b.OtherOptions.List) == 0 {
		return nil
	}
	others := b.OtherOptions.values()
	if b.Default.Set && len(b.Default.refs) == 0 {
		return append([]string{b.Default.Value}, others...)
	}
	return others
}

type derived struct {
	spot
	Use       word      `yaml:"use" jsonschema:"required" jsonschema_description:"Path of an executable in the repository, or an https address"`
	SHA256    word      `yaml:"sha256" jsonschema_description:"SHA-256 of what is at the address"`
	Arguments arguments `yaml:"arguments" jsonschema_description:"Values given to the executable"`
	Exports   exports   `yaml:"exports" jsonschema_description:"Names that the executable prints, and what they are called here"`
	Secret    boolean   `yaml:"secret" jsonschema_description:"Whether its values are secret"`
	Timeout   duration  `yaml:"timeout" jsonschema_description:"Longest time of the executable"`
}

func (derived) noun() string { return "a derived parameter" }

// read tells the two apart by `use`, as in 2019.
func (p *parameter) read(d *decoder, n *yaml.Node) {
	p.place(d.at(n))
	use := false
	if n.Kind == yaml.MappingNode {
		d.pairs(n, func(key, _ *yaml.Node) { use = use || key.Value == "use" })
	}
	if use {
		p.derived = &derived{}
		d.object(n, reflect.ValueOf(p.derived).Elem())
		return
	}
	p.basic = &basic{}
	d.object(n, reflect.ValueOf(p.basic).Elem())
}

// exports is a mapping of names that an executable prints to names here.
type exports struct {
	list []export
	set  bool
}

type export struct{ from, to word }

func (e *exports) read(d *decoder, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		if !isNull(n) {
			d.report.errorf(d.at(n), "expected a mapping of names to names, found %s", kind(n))
		}
		return
	}
	e.set = true
	d.pairs(n, func(key, value *yaml.Node) {
		var x export
		x.from.read(d, key)
		x.to.read(d, value)
		e.list = append(e.list, x)
	})
}

// defined lists the names that the parameter brings into scope.
func (p *parameter) defined() []word {
	if p.basic != nil {
		return []word{p.basic.Name}
	}
	var names []word
	if p.derived != nil {
		for _, x := range p.derived.Exports.list {
			names = append(names, x.to)
		}
	}
	return names
}

// check finds what is wrong with the declarations of one file.
func (ps parameters) check(r *report) {
	first := map[string]Position{}
	for _, p := range ps {
		for _, name := range p.defined() {
			checkParameterName(r, name)
			env := plan.EnvName(name.Value)
			if at, ok := first[env]; ok && name.Set {
				r.errorf(name.at, "parameter %q is here twice, first in line %d: scripts know both as %s", name.Value, at.Line, env)
			}
			first[env] = name.at
		}
		switch {
		case p.basic != nil:
			p.basic.check(r)
		case p.derived != nil:
			p.derived.check(r)
		}
	}
}

func checkParameterName(r *report, name word) {
	switch {
	case !name.Set:
		// A missing name is reported as a missing key.
	case !plan.ValidParameterName(name.Value):
		r.errorf(name.at, "%q cannot be the name of a parameter", name.Value).Hint =
			"use letters, digits, dots, dashes and underscores, a letter first"
	case plan.BuiltIn(name.Value):
		r.errorf(name.at, "parameter %q: names that begin with git. and build. are built in", name.Value)
	case plan.Steers(plan.EnvName(name.Value)):
		r.errorf(name.at, "parameter %q would steer programs through the environment variable %s", name.Value, plan.EnvName(name.Value)).Hint =
			"choose another name, and set the variable in the environment of the steps that need it"
	}
}

func (b *basic) check(r *report) {
	if b.Secret.Value && b.Default.Set && b.Default.Value != "" {
		r.warnf(b.Default.at, "the secret parameter %q has a default, which everybody who reads the repository knows", b.Name.Value)
	}
}

func (v *derived) check(r *report) {
	use := v.Use
	switch _, ok := inside(use.Value); {
	case !use.Set:
	case isURL(use.Value):
		if why, hint := v.refusesAddress(); why != "" {
			r.warnf(use.at, "%s", why).Hint = hint
		}
	case strings.Contains(use.Value, "${"):
		r.errorf(use.at, "use is taken as it stands, nothing is expanded in it")
	case !ok || use.Value == "" || use.Value[0] == '-':
		r.errorf(use.at, "%q is not the path of a file in the repository", use.Value)
	}
	for _, a := range v.Arguments {
		if !validVariable(a.Name.Value) {
			r.errorf(a.Name.at, "%q cannot be the name of an argument", a.Name.Value)
		}
	}
}

// Programs from elsewhere: the files of 2019 name them, so they load.
const (
	urlRefusal = "executables from a URL are not supported yet"
	urlHint    = "executables are taken from the repository: commit it and name its path"
)

func isURL(use string) bool { return strings.Contains(use, "://") }

// validVariable accepts the names of environment variables and arguments. Dots
// and dashes are not for shells, but programs use them.
func validVariable(name string) bool {
	for i, c := range []byte(name) {
		if !isWordByte(c) && (i == 0 || c != '.' && c != '-') || i == 0 && c >= '0' && c <= '9' {
			return false
		}
	}
	return name != ""
}
