package app

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/forge/report"
	"github.com/velocity-ci/velocity/app/workflow"
	"github.com/velocity-ci/velocity/architect/build"
)

// summarise points at what the build found, and is the page about it: what a check
// on the forge says.
func (v *actionView) summarise(b *build.Build, contained bool) string {
	b = nameless(b)
	composer := &report.Composer{Tail: v.tail}
	check := composer.Check(report.Subject{Shown: report.Shown{Build: b}})
	if b.State() == build.Failed {
		v.out.Annotate(forge.Annotation{Level: "failure", Title: check.Title, Message: cmp.Or(b.Reason(), string(b.State()))})
	}
	left := 0
	for _, a := range check.Annotations {
		if !v.out.Annotate(a) {
			left++
		}
	}
	page := "### Velocity: " + string(check.Conclusion) + "\n\n" + report.Whole(check)
	if left > 0 {
		page += fmt.Sprintf("\n%s not among the annotations: GitHub takes %d of each level from a step.\n",
			count(left, "finding"), workflow.MaxAnnotations)
	}
	if contained && lacksProgram(b) {
		v.out.Line(lacking)
		page += "\n" + lacking + "\n"
	}
	return page
}

const lacking = "A step without an image runs in the action's own container, which has git, a shell and little else:" +
	" give the step an image, or run velocity action on the runner itself (docs/action.md, A runner's own tools)."

// lacksProgram reports whether a step failed that ran beside this process and did
// not find a program.
func lacksProgram(b *build.Build) bool {
	const shellDidNot = 127 // as POSIX has it
	for _, stage := range b.Stages {
		for _, t := range stage.Tasks {
			for _, s := range t.Steps {
				missing := s.Exit == shellDidNot || strings.Contains(s.Reason, "not found in PATH")
				if s.State == build.Failed && s.Image == "" && missing {
					return true
				}
			}
		}
	}
	return false
}
