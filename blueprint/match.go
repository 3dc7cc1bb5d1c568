package blueprint

import (
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// defaultPipeline is the one that needs no `on`.
const defaultPipeline = "default"

// Match returns the names of the pipelines that the trigger starts, sorted. A
// trigger with a name starts what it names, whether it exists or not; one by hand
// without a name starts `default`. A deleted ref starts nothing.
//
// Patterns match whole branch or tag names, as plan.Patterns says.
func (c *Config) Match(t plan.Trigger) []string {
	if t.Name != "" {
		return []string{t.Name}
	}
	if t.Commit.Zero() {
		return nil
	}
	var names []string
	for name, p := range c.pipelines {
		if p.starts(t) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (p *pipeline) starts(t plan.Trigger) bool {
	branch, tag := plan.Branch(t.Ref), plan.Tag(t.Ref)
	switch {
	case t.Event != plan.EventPush:
		return p.name == defaultPipeline
	case p.On == nil:
		return p.name == defaultPipeline && branch != ""
	case p.On.Push == nil:
		return false
	case !p.On.Push.Branches.Set && !p.On.Push.Tags.Set:
		return branch != "" || tag != ""
	case branch != "":
		return p.On.Push.Branches.Set && matches(p.On.Push.Branches.values(), branch)
	default:
		return p.On.Push.Tags.Set && tag != "" && matches(p.On.Push.Tags.values(), tag)
	}
}

func matches(patterns []string, name string) bool { return plan.Patterns(patterns).Selects(name) }

func (o *on) check(r *report) {
	if o.Manual.Set && !o.Manual.Value {
		r.warnf(o.Manual.at, "every pipeline can be started by hand: manual: false changes nothing")
	}
	if o.Push == nil {
		return
	}
	for _, list := range [][]word{o.Push.Branches.List, o.Push.Tags.List} {
		for _, w := range list {
			if !validPattern(strings.TrimPrefix(w.Value, "!")) {
				r.errorf(w.at, "%q is not a pattern of names", w.Value).Hint = "such as main, release/*, feature/** or {a,b}"
			}
		}
	}
}

// validPattern also refuses patterns with so many alternatives that matching
// them would take long: the matcher tries them one by one.
func validPattern(p string) bool {
	return p != "" && len(p) <= 256 && strings.Count(p, "{") <= 4 && strings.Count(p, ",") <= 16 && doublestar.ValidatePattern(p)
}
