package page

import (
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

func TestStandings(t *testing.T) {
	b := shopOver().Build
	standing := func(key string) string {
		task, _ := b.Task(key)
		return taskStanding(b, task).Word
	}
	for key, want := range map[string]string{"s0t0": "succeeded", "s0t1": "failed", "s0t3": "reused", "s2t0": "never ran"} {
		if got := standing(key); got != want {
			t.Errorf("task %s is %s; want %s", key, got, want)
		}
	}
	b.Stages[0].Tasks[3].Reason = build.ReasonSkipped
	if got := standing("s0t3"); got != "skipped" {
		t.Errorf("a task that was not needed is %s", got)
	}
	if got := buildStanding(b).Word; got != "failed" {
		t.Errorf("the build is %s", got)
	}
	if got := buildStanding(shopHeld().Build).Word; got != "held" {
		t.Errorf("a build that waits for approval is %s", got)
	}
}

// What forges, authors and events are called on pages.
func TestNames(t *testing.T) {
	for ref, want := range map[string]string{
		"refs/heads/main": "main", "refs/heads/a/b": "a/b", "refs/tags/v1": "tag v1", "refs/pull/218/head": "#218", "refs/merge-requests/5/merge": "!5", "refs/notes/x": "notes/x", "HEAD": "HEAD",
	} {
		if got := branch(ref); got != want {
			t.Errorf("branch(%q) = %q; want %q", ref, got, want)
		}
	}
	for author, want := range map[string]string{"Ada <ada@x>": "Ada", " <ada@x>": " <ada@x>", "ada": "ada", "": ""} {
		if got := person(author); got != want {
			t.Errorf("person(%q) = %q; want %q", author, got, want)
		}
	}
	if got := eventName(plan.EventPullRequest); got != "pull request" {
		t.Errorf("a pull request is called %q", got)
	}
}

func TestAgo(t *testing.T) {
	const day = 24 * time.Hour
	for past, want := range map[time.Duration]string{
		-time.Hour: "just now", 59 * time.Second: "just now", time.Minute: "1 min ago", 59*time.Minute + 59*time.Second: "59 min ago",
		time.Hour: "1 h ago", day - 1: "23 h ago", day: "1 day ago", 30*day - 1: "29 days ago", 30 * day: "2026-10-23",
	} {
		if got := (moment{noon.Add(-past), noon}).Ago(); got != want {
			t.Errorf("%s is %q; want %q", past, got, want)
		}
	}
}

// The page of a build that failed leads to the log of the task that its reason names,
// and no page to one that has none.
func TestCulprit(t *testing.T) {
	if c := shopOver().Culprit(); c == nil || c.Key != "s1t0" {
		t.Errorf("the culprit is %v", c)
	}
	if c := shopView().Culprit(); c != nil {
		t.Errorf("a build that runs has the culprit %s", c.Key)
	}
	canceled := shopOver()
	canceled.Canceled = "canceled"
	if c := canceled.Culprit(); c != nil {
		t.Errorf("a build that was canceled has the culprit %s", c.Key)
	}
}
