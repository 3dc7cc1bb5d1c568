package app_test

import (
	"testing"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
)

const defaultCheck = "velocity / default"

func TestGitHubPush(t *testing.T) {
	w := newTown(t, forgetest.GitHubOptions{})
	w.builder("b1", "--executor", "host")
	sha := w.repo.Push(t, "main", forgetest.Change{Author: "octo", Files: map[string]string{"a": "1"}})
	c := w.check(sha, defaultCheck, concluded("success"))
	t.Logf("%s\n%s\n%s\n%+v", c.Title, c.Summary, c.Text, c.Actions)
	sha = w.repo.Push(t, "main", forgetest.Change{Author: "octo", Files: map[string]string{"broken": "1"}})
	c = w.check(sha, defaultCheck, concluded("failure"))
	t.Logf("%s\n%s\n%s\n%+v", c.Title, c.Summary, c.Text, c.Actions)
}
