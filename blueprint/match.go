package blueprint

import (
	"slices"
	"strings"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// defaultPipeline is the one that needs no `on`.
const defaultPipeline = "default"

// Matched is a pipeline that an event is about.
type Matched struct {
	Name string
	Skip bool // the event matched but its `paths` did not: it is reported as skipped
}

// Match returns the pipelines that the trigger is about, sorted by name. A trigger
// with a name starts what it names, whether it exists or not; one by hand without
// a name starts `default`. A deleted ref starts nothing.
//
// Changed tells whether the trigger changed a file that the patterns of a
// pipeline's `paths` choose; without it everything has changed. It is asked only
// for pipelines whose event matched, and its error is Match's.
func (c *Config) Match(t plan.Trigger, changed func(pipeline string, patterns []string) (bool, error)) ([]Matched, error) {
	if t.Name != "" {
		return []Matched{{Name: t.Name}}, nil
	}
	if t.Commit.Zero() {
		return nil, nil
	}
	var found []Matched
	for _, p := range sortedUnits(c.pipelines) {
		if !p.starts(t) {
			continue
		}
		m := Matched{Name: p.name}
		if paths := p.paths(t); paths.Set && changed != nil {
			touched, err := changed(p.name, paths.values())
			if err != nil {
				return nil, err
			}
			m.Skip = !touched
		}
		found = append(found, m)
	}
	return found, nil
}

// starts reports whether the pipeline is for the trigger's event and ref.
func (p *pipeline) starts(t plan.Trigger) bool {
	switch t.Event {
	case plan.EventPush:
		return p.startsOnPush(plan.Branch(t.Ref), plan.Tag(t.Ref))
	case plan.EventPullRequest, plan.EventMergeGroup:
		if p.On == nil {
			return p.name == defaultPipeline
		}
		pr := p.On.PullRequest
		return pr != nil && (!pr.Branches.Set || plan.Matches(pr.Branches.values(), plan.Branch(t.Target)))
	case plan.EventSchedule:
		return p.On != nil && len(p.On.Schedule) > 0
	default:
		return p.name == defaultPipeline
	}
}

func (p *pipeline) startsOnPush(branch, tag string) bool {
	switch {
	case p.On == nil:
		return p.name == defaultPipeline && branch != ""
	case p.On.Push == nil:
		return false
	case !p.On.Push.Branches.Set && !p.On.Push.Tags.Set:
		return branch != "" || tag != ""
	case branch != "":
		return p.On.Push.Branches.Set && plan.Matches(p.On.Push.Branches.values(), branch)
	default:
		return p.On.Push.Tags.Set && tag != "" && plan.Matches(p.On.Push.Tags.values(), tag)
	}
}

// paths is the filter for the trigger's event. A tag names a commit and changes
// no files, so pushes of tags have none.
func (p *pipeline) paths(t plan.Trigger) words {
	switch {
	case p.On == nil:
	case t.Event == plan.EventPush && p.On.Push != nil && plan.Tag(t.Ref) == "":
		return p.On.Push.Paths
	case t.Event.Proposes() && p.On.PullRequest != nil:
		return p.On.PullRequest.Paths
	}
	return words{}
}

// Skips reports whether a commit's message asks for no builds: pushes of the
// commit and pull requests with it as their head then start nothing.
func Skips(message string) bool {
	message = strings.ToLower(message)
	return strings.Contains(message, "[skip ci]") || strings.Contains(message, "[ci skip]")
}

func (o *on) check(r *report) {
	if o.Manual.Set && !o.Manual.Value {
		r.warnf(o.Manual.at, "every pipeline can be started by hand: manual: false changes nothing")
	}
	if o.Push != nil {
		checkNames(r, o.Push.Branches)
		checkNames(r, o.Push.Tags)
		checkPaths(r, o.Push.Paths)
		if tags := o.Push.Tags; o.Push.Paths.Set && tags.Set && !o.Push.Branches.Set {
			r.warnf(o.Push.Paths.at, "paths are compared for branches, but only tags start this pipeline")
		}
	}
	if o.PullRequest != nil {
		checkNames(r, o.PullRequest.Branches)
		checkPaths(r, o.PullRequest.Paths)
	}
	for i := range o.Schedule {
		o.Schedule[i].check(r)
	}
}

func checkNames(r *report, patterns words) {
	for _, w := range patterns.List {
		if !plan.ValidPattern(strings.TrimPrefix(w.Value, "!")) {
			r.errorf(w.at, "%q is not a pattern of names", w.Value).Hint = "such as main, release/*, feature/** or {a,b}"
		}
	}
}

func checkPaths(r *report, patterns words) {
	for _, w := range patterns.List {
		if !validPathPattern(w.Value) {
			badPath(r, w.at, w.Value)
		}
	}
}

// validPathPattern accepts patterns of paths below the repository's root, as git
// spells them: clean and without a slash first.
func validPathPattern(p string) bool {
	p = strings.TrimPrefix(p, "!")
	_, within := inside(p)
	return plan.ValidPattern(p) && within && !slices.Contains(strings.Split(p, "/"), "..")
}

func badPath(r *report, at Position, pattern string) {
	r.errorf(at, "%q is not a pattern of paths in the repository", pattern).Hint = "such as src/**, *.md or docs/{a,b}.md"
}
