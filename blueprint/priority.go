package blueprint

import (
	"strconv"

	"gopkg.in/yaml.v3"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A priority is a whole number within plan's bounds.
type priority struct {
	spot
	Value int
}

func (p *priority) read(d *decoder, n *yaml.Node) {
	var w word
	w.read(d, n)
	p.place(w.at)
	if !w.Set {
		return
	}
	v, err := strconv.Atoi(w.Value)
	if err != nil || v < plan.MinPriority || v > plan.MaxPriority {
		d.report.errorf(p.at, "expected a number from %d to %d, found %q", plan.MinPriority, plan.MaxPriority, w.Value)
		return
	}
	p.Value = v
}

// Priorities are those that pipelines are given in these files, by name, without
// the usual 0. They are a wish: only the default branch's count.
func (c *Config) Priorities() map[string]int {
	all := map[string]int{}
	for _, p := range c.pipelines {
		if p.Priority.Value != 0 {
			all[p.name] = p.Priority.Value
		}
	}
	return all
}
