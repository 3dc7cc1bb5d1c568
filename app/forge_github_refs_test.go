package app_test

import (
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
)

// The queue's commits are built under the names that its rules require.
func TestGitHubMergeQueue(t *testing.T) {
	w := newTown(t, forgetest.GitHubOptions{})
	w.builder("b1", "--executor", "host")
	w.push("main", w.onPull())
	w.push("topic", files{"a": ""})
	group := w.repo.OpenPull(t, forgetest.PullOptions{Branch: "topic", Author: "octo"}).Enqueue(t, "octo")
	w.is(group.Head(), "success")
	group.Merge(t, "octo")

	w.push("slow", files{"hold": ""})
	group = w.repo.OpenPull(t, forgetest.PullOptions{Branch: "slow", Author: "octo"}).Enqueue(t, "octo")
	w.runs(group.Head())
	group.Dequeue(t, "octo")
	if c := w.is(group.Head(), "cancelled"); c.Title != "Canceled: merge group destroyed" {
		t.Errorf("title %q", c.Title)
	}
}

// Branches that are forced are built, and those that are deleted are not any more.
func TestGitHubBranches(t *testing.T) {
	w := newTown(t, forgetest.GitHubOptions{})
	w.builder("b1", "--executor", "host")
	first := w.push("topic", files{"hold": ""})
	w.runs(first)
	w.repo.DeleteBranch(t, "topic")
	if c := w.is(first, "cancelled"); c.Title != "Canceled: ref deleted" {
		t.Errorf("title %q", c.Title)
	}
	main := w.push("main", files{"a": ""})
	w.is(main, "success")
	forced := w.repo.ForcePush(t, "main", "", forgetest.Change{Author: "octo", Files: w.pipeline()})
	w.is(forced, "success")
	if n := w.builds(forced, 1); n != 1 {
		t.Errorf("%d builds of a forced push", n)
	}
}

// Tags are built at the commits that they stand for, also those of which GitHub
// tells nobody since there are too many at once.
func TestGitHubTags(t *testing.T) {
	const release = "velocity / release"
	w := newTown(t, forgetest.GitHubOptions{})
	w.builder("b1", "--executor", "host")
	f := w.pipeline()
	f[".velocityci/pipelines/release.yml"] = "on: {push: {tags: ['v*']}}\nstages: [{name: pack, blueprints: [pack]}]\n"
	sha := w.push("main", f)
	w.is(sha, "success")
	if object := w.repo.PushAnnotatedTag(t, "v1", sha, "one"); object == sha {
		t.Fatal("the tag has no object of its own")
	}
	one := w.check(sha, release, concluded("success"))

	w.repo.PushTags(t, sha, "v2", "v3", "v4", "v5")
	w.stop()
	w.serve()
	w.check(sha, release, func(c forgetest.CheckRun) bool { return c.ID > one.ID && concluded("success")(c) })
	if n := w.builds(sha, 6); n != 6 {
		t.Errorf("%d builds; want those of main and of five tags", n)
	}
	for _, tag := range []string{"v2", "v3", "v4", "v5"} {
		if !strings.Contains(w.said.text(), " ref=refs/tags/"+tag+" commit="+sha+" builds=1") {
			t.Errorf("%s was not built", tag)
		}
	}
}
