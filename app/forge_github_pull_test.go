package app_test

import (
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
)

// onPull is a pipeline that pull requests and merge groups start, and no push.
func (w *town) onPull() files {
	f := w.pipeline()
	f[".velocityci/pipelines/default.yml"] = "on: {pull_request: {}}\n" + f[".velocityci/pipelines/default.yml"]
	return f
}

// A push and the pull request made of it are one build; a newer head ends it.
func TestGitHubPullAndPush(t *testing.T) {
	w := newTown(t, forgetest.GitHubOptions{})
	w.builder("b1", "--executor", "host")
	first := w.push("topic", files{"hold": ""})
	w.repo.OpenPull(t, forgetest.PullOptions{Branch: "topic", Author: "octo"})
	w.runs(first)
	if n := w.builds(first, 2); n != 1 {
		t.Errorf("%d builds of the push and the pull request; want one", n)
	}

	second := w.push("topic", files{"a": "1"})
	if c := w.is(first, "cancelled"); !strings.HasPrefix(c.Title, "Superseded by build ") {
		t.Errorf("the older head's check says %q; want that it was superseded", c.Title)
	}
	w.runs(second)
	w.open()
	w.is(second, "success")
	if n := w.builds(second, 2); n != 1 {
		t.Errorf("%d builds of the second push; want one", n)
	}
}

// A pull request that is closed needs no build, one that is opened again does, and
// one for another branch needs another.
func TestGitHubPullLife(t *testing.T) {
	w := newTown(t, forgetest.GitHubOptions{})
	w.builder("b1", "--executor", "host")
	w.push("main", w.onPull())
	w.push("next", files{"n": ""})
	head := w.push("topic", files{"hold": ""})
	pull := w.repo.OpenPull(t, forgetest.PullOptions{Branch: "topic", Author: "octo"})
	w.runs(head)
	pull.Close("octo")
	if c := w.is(head, "cancelled"); c.Title != "Canceled: pull request closed" {
		t.Errorf("title %q", c.Title)
	}

	pull.Reopen("octo")
	w.runs(head)
	pull.Retarget("octo", "next")
	w.notes(`from=building to=failed reason="superseded by `)
	w.open()
	w.is(head, "success")
	pull.EditTitle("octo", "Another title")
	w.quiet()
	if n := w.builds(head, 1); n != 3 {
		t.Errorf("%d builds; want three: opened, opened again, and for another branch", n)
	}
	for _, c := range w.hub.Checks(head) {
		if c.Status != "completed" {
			t.Errorf("check run %d of build %s is %s for ever", c.ID, c.ExternalID, c.Status)
		}
	}
}

// Nobody vouches for a robot but the configuration.
func TestGitHubBot(t *testing.T) {
	for config, conclusion := range map[string]string{"": "action_required", "bots: ['dependabot[bot]']": "success"} {
		t.Run(conclusion, func(t *testing.T) {
			w := newTown(t, forgetest.GitHubOptions{}, config)
			w.builder("b1", "--executor", "host")
			w.push("main", w.onPull())
			head := w.repo.Push(t, "bump", forgetest.Change{Author: "dependabot[bot]", Files: files{"go.sum": ""}})
			w.repo.OpenPull(t, forgetest.PullOptions{Branch: "bump", Author: "dependabot[bot]"})
			w.is(head, conclusion)
		})
	}
}
