package report

import (
	"fmt"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
)

// A page for itself stays within its bounds, names no place that has more, and shows
// findings as text.
func TestWhole(t *testing.T) {
	s := newSite(t, request(12, []string{"unit"})).open().do(build.Assign, "s0t0").do(build.Begin, "s0t0").do(build.Fail, "s0t0", because("exit 1"), tailed)
	b := s.shown().Build.Clone()
	b.ID = build.ID{}
	check := composer().Check(Subject{Shown: Shown{Build: b}})
	for i := range MaxAnnotations {
		check.Annotations = append(check.Annotations, forge.Annotation{
			Path: "a.go", Line: i + 1, Level: "failure", Title: "<img src=x> @octocat", Message: strings.Repeat("[x](y)\n", 200),
		})
	}
	page := Whole(check)
	if len(page) > MaxWhole || !strings.Contains(page, "… and ") || !strings.Contains(page, "- failure at `a.go:1`: `<img src=x> @octocat`: `[x](y) ") {
		t.Errorf("%d bytes: %.3000s", len(page), page)
	}
	for _, word := range []string{"velocity show", "velocity logs", "which the build's page has", "The whole log", fmt.Sprint(b.ID)} {
		if strings.Contains(page, word) {
			t.Errorf("a build that is recorded nowhere is said to be found: %q in %.3000s", word, page)
		}
	}
}
