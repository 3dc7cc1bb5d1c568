package app_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
)

// A push is shown as queued, running and over, in this order, by one check run.
func TestGitHubPush(t *testing.T) {
	w := newTown(t, forgetest.GitHubOptions{})
	w.builder("b1", "--executor", "host")
	sha := w.push("main", files{"hold": ""})
	w.runs(sha)
	w.open()
	c := w.is(sha, "success")
	if c.Title != "Passed: 2 tasks" || len(c.Annotations) > 0 {
		t.Errorf("title %q, annotations %v; want that 2 tasks passed, and none", c.Title, c.Annotations)
	}
	var were []string
	for _, was := range w.hub.History(c.ID) {
		if n := len(were); n == 0 || were[n-1] != was.Status {
			were = append(were, was.Status)
		}
	}
	if diff := cmp.Diff([]string{"queued", "in_progress", "completed"}, were); diff != "" {
		t.Errorf("the check run was (-want +got):\n%s", diff)
	}
	if all := w.hub.Checks(sha); len(all) != 1 {
		t.Errorf("%d check runs; want one", len(all))
	}
}

// What failed is said on its lines, with the end of the log, and without the secret
// that the step printed.
func TestGitHubFailure(t *testing.T) {
	const canary = "canary-5e0b7f3a"
	w := newTown(t, forgetest.GitHubOptions{})
	w.builder("b1", "--executor", "host")
	w.tell(canary, "secret", "set", "deploy_key", "--repository", "octo/world", "--config", filepath.Join(w.home, "server.yml"))
	sha := w.push("main", files{
		"main.go": "package main\n\nvar x = y\n",
		"unit.xml": `<testsuite name="unit"><testcase name="adds" classname="sum" file="main.go" line="3">` +
			`<failure message="want 2, got ` + canary + `">at sum</failure></testcase></testsuite>`,
		".velocityci/blueprints/unit.yml": `
parameters: [{name: deploy_key, secret: true}]
reports: {junit: unit.xml}
steps:
- type: run
  secrets: [deploy_key]
  script: |
    echo "the key is $deploy_key"
    echo "main.go:3:9: undefined: y$deploy_key"
    exit 1
`})
	c := w.is(sha, "failure")
	for _, want := range []string{"**`Failed: unit`**", "the key is", "| `test` | `unit` | failed: `exit 1` |"} {
		if !strings.Contains(c.Summary, want) {
			t.Errorf("the summary lacks %q:\n%s", want, c.Summary)
		}
	}
	on := map[string]int{}
	for _, a := range c.Annotations {
		on[a.Path] += a.StartLine
	}
	if diff := cmp.Diff(map[string]int{"main.go": 6}, on); diff != "" {
		t.Errorf("lines of annotations (-want +got):\n%s\n%+v", diff, c.Annotations)
	}
	if got, want := labels(c), []string{"Re-run failed", "Re-run"}; !cmp.Equal(want, got) {
		t.Errorf("buttons %q; want %q", got, want)
	}
	for _, call := range w.hub.Calls() {
		if bytes.Contains(call.Body, []byte(canary)) {
			t.Errorf("%s %s told the secret: %s", call.Method, call.Path, call.Body)
		}
	}
}

// labels are what is written on the buttons of a check run.
func labels(c forgetest.CheckRun) (all []string) {
	for _, a := range c.Actions {
		all = append(all, a.Label)
	}
	return all
}
