package blueprint

import (
	"slices"
	"strings"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// check warns of what a plugin cannot do. Nothing of it is an error: a plugin never
// fails a build.
func (p *plugin) check(rep *report) {
	for _, e := range p.Events.List {
		if !slices.Contains(plan.PluginEvents(), e.Value) {
			f := rep.warnf(e.at, "there is no event %q", e.Value)
			rep.didYouMean(f, e.Value, plan.PluginEvents())
		}
	}
	switch {
	case !p.Use.Set: // which is an error of its own
	case p.Use.Value == plan.PluginExec:
		rep.warnf(p.Use.at, "the plugin exec is never run for a repository").Hint = "the server's configuration can name programs to run"
	case !p.known():
		f := rep.warnf(p.Use.at, "there is no plugin %q: it is not run", p.Use.Value)
		rep.didYouMean(f, p.Use.Value, plan.PluginKinds())
	default:
		p.checkArguments(rep)
	}
}

func (p *plugin) known() bool { return slices.Contains(plan.PluginKinds(), p.Use.Value) }

// checkArguments warns of arguments that nobody reads, of references to anything
// but a secret, and of what should be one.
func (p *plugin) checkArguments(rep *report) {
	names := plan.PluginArguments(p.Use.Value)
	found := false
	for _, a := range p.Arguments {
		found = found || a.Name.Value == names[0]
		secret, ok := a.secret()
		switch {
		case !slices.Contains(names, a.Name.Value):
			f := rep.warnf(a.Name.at, "the plugin %s knows no argument %q", p.Use.Value, a.Name.Value)
			rep.didYouMean(f, a.Name.Value, names)
		case !ok:
			rep.warnf(a.Value.at, "an argument of a plugin is a plain value, or ${NAME} for the secret of that name: the plugin is not run")
		case secret == "" && (a.Name.Value == plan.PluginSignature || p.Use.Value == plan.PluginSlack):
			rep.warnf(a.Value.at, "everybody who can read the repository can read %s", a.Name.Value).Hint =
				"velocity secret set keeps a secret, and ${NAME} names it here"
		}
	}
	if !found {
		rep.warnf(p.at, "the plugin %s needs the argument %s: it is not run", p.Use.Value, names[0])
	}
}

// secret is the name in a value that is one ${NAME} and nothing else, "" in one
// without any. ok is false for all others.
func (v *variable) secret() (name string, ok bool) {
	if len(v.Value.refs) == 0 {
		return "", !strings.Contains(v.Value.Value, "${")
	}
	name = v.Value.refs[0].name
	return name, v.Value.Value == "${"+name+"}"
}

// plugins are those of the root file that can be run, as a plan has them.
func (r *rootFile) plugins() []plan.Plugin {
	var all []plan.Plugin
	for i := range r.Plugins {
		if p, ok := r.Plugins[i].plan(); ok {
			all = append(all, p)
		}
	}
	return all
}

// plan is the plugin as a plan has it; ok is false for one that cannot be run.
func (p *plugin) plan() (out plan.Plugin, ok bool) {
	out = plan.Plugin{Use: p.Use.Value}
	for _, e := range p.Events.List {
		if slices.Contains(plan.PluginEvents(), e.Value) && !slices.Contains(out.Events, e.Value) {
			out.Events = append(out.Events, e.Value)
		}
	}
	if !p.Events.Set {
		out.Events = []string{plan.DefaultPluginEvent}
	}
	names := plan.PluginArguments(p.Use.Value)
	needs := false
	for _, a := range p.Arguments {
		secret, plain := a.secret()
		if !plain {
			return out, false
		}
		if !slices.Contains(names, a.Name.Value) {
			continue
		}
		argument := plan.PluginArgument{Name: a.Name.Value, Secret: secret}
		if secret == "" {
			argument.Value = a.Value.Value
		}
		needs = needs || a.Name.Value == names[0]
		out.Arguments = append(out.Arguments, argument)
	}
	return out, p.known() && needs && len(out.Events) > 0
}
