package blueprint

import "github.com/velocity-ci/velocity/blueprint/plan"

// concurrency names the group of builds that a pipeline's builds belong to.
type concurrency struct {
	spot
	Group            text    `yaml:"group" jsonschema:"required" jsonschema_description:"Builds of one group run one after the other; the name may use what the plan knows, such as ${git.branch}"`
	CancelInProgress boolean `yaml:"cancelInProgress" jsonschema_description:"That a new build ends the earlier ones of its group"`
}

func (concurrency) noun() string { return "concurrency" }

// maxGroup bounds the name of a group, in bytes.
const maxGroup = 200

// groupRule: a group is a name and nothing that runs, so branch names may stand in
// it.
var groupRule = rule{field: "the group", taint: true, before: -1}

func (x *concurrency) check(k *checker) {
	k.text(&x.Group, groupRule)
}

// concurrency is the plan's. Pipelines have no parameters of their own, so only
// built-in values can be in the group's name.
func (d *drawer) concurrency(x *concurrency) plan.Concurrency {
	if !x.Group.Set {
		return plan.Concurrency{}
	}
	t := &task{drawer: d, entry: &entry{}, values: map[string]string{}}
	name, ok := t.expand(&x.Group)
	if ok && (name == "" || len(name) > maxGroup) {
		d.report.errorf(x.Group.at, "the group is called %q: between 1 and %d bytes are wanted", shorten(name, 40), maxGroup)
	}
	return plan.Concurrency{Group: name, CancelInProgress: x.CancelInProgress.Value}
}
