package app_test

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/app/forge/github"
)

// docs/github.md lists exactly what the App asks its owners for, and why.
func TestGitHubNeedsAreDocumented(t *testing.T) {
	var want [][]string
	for _, n := range github.Needs {
		access := n.Access
		if n.Event {
			access = "event"
		}
		if n.Optional {
			access += ", optional"
		}
		want = append(want, []string{n.Name, access, n.Reason})
	}
	var got [][]string
	row := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ((?:read|write|event)(?:, optional)?) \\| (.*) \\|$")
	for _, m := range row.FindAllStringSubmatch(readText(t, "docs/github.md"), -1) {
		got = append(got, m[1:])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the table of docs/github.md (-needs +page):\n%s", diff)
	}
}
