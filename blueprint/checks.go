package blueprint

import (
	"gopkg.in/yaml.v3"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// The words of `checks`. That of the default is there to be written, too.
const (
	checksBuild = "build"
	checksTasks = string(plan.ChecksTasks)
)

// A checks is what a forge shows as a check of its own.
type checks struct {
	spot
	Value plan.Checks
}

func (c *checks) read(d *decoder, n *yaml.Node) {
	var w word
	w.read(d, n)
	c.place(w.at)
	switch {
	case !w.Set || w.Value == checksBuild:
	case w.Value == checksTasks:
		c.Value = plan.ChecksTasks
	default:
		f := d.report.errorf(c.at, "expected %s or %s, found %q", checksBuild, checksTasks, w.Value)
		d.report.didYouMean(f, w.Value, []string{checksBuild, checksTasks})
	}
}
