package app

import (
	"fmt"

	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// warnOfImages tells which images of a plan will see a secret and are not named by
// their digest. On their own machine people may do that; a server does not give it.
func (c *cli) warnOfImages(p *plan.Plan) {
	told := map[plan.Exposure]bool{}
	for _, s := range p.Stages {
		for i := range s.Tasks {
			t := &s.Tasks[i]
			for _, e := range t.Exposures() {
				if t.Skip || told[e] {
					continue
				}
				told[e] = true
				fmt.Fprintf(c.Err, "velocity: %s: image %s sees the secret %s and is not named by its digest: a server would not give it\n",
					term.Clean(e.At), term.Clean(string(e.Image)), term.Clean(e.Secret))
			}
		}
	}
}
