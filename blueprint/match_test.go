package blueprint

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

func TestMatch(t *testing.T) {
	tree := files{".velocityci/blueprints/b.yml": "steps: [{type: run, command: x}]"}
	for name, on := range map[string]string{
		"default":  "",
		"plain":    "",
		"all":      "on: {push: {}}",
		"null":     "on:\n  push:",
		"branches": "on: {push: {branches: [main, 'release/*', '!release/old']}}",
		"tags":     "on: {push: {tags: v*}}",
		"deep":     "on: {push: {branches: ['**', '!wip/**', wip/keep]}}",
		"not":      "on: {push: {branches: '!main'}}",
		"none":     "on: {push: {branches: []}}",
		"manual":   "on: {manual: true}",
		"both":     "on: {push: {branches: main, tags: v1}}",
	} {
		tree[".velocityci/pipelines/"+name+".yml"] = on + "\nstages: [{blueprints: [b]}]"
	}
	c, findings := mustLoad(t, tree)
	if len(findings) > 0 {
		t.Fatalf("findings: %v", findings)
	}
	const tip = "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"
	for _, test := range []struct {
		trigger plan.Trigger
		want    []string
	}{
		{plan.Trigger{Event: plan.EventPush, Ref: "refs/heads/main", Commit: tip}, []string{"all", "both", "branches", "deep", "default", "null"}},
		{plan.Trigger{Event: plan.EventPush, Ref: "refs/heads/release/1", Commit: tip}, []string{"all", "branches", "deep", "default", "not", "null"}},
		{plan.Trigger{Event: plan.EventPush, Ref: "refs/heads/release/old", Commit: tip}, []string{"all", "deep", "default", "not", "null"}},
		{plan.Trigger{Event: plan.EventPush, Ref: "refs/heads/wip/a/b", Commit: tip}, []string{"all", "default", "not", "null"}},
		{plan.Trigger{Event: plan.EventPush, Ref: "refs/heads/wip/keep", Commit: tip}, []string{"all", "deep", "default", "not", "null"}},
		{plan.Trigger{Event: plan.EventPush, Ref: "refs/tags/v1", Commit: tip}, []string{"all", "both", "null", "tags"}},
		{plan.Trigger{Event: plan.EventPush, Ref: "refs/notes/x", Commit: tip}, nil},
		{plan.Trigger{Event: plan.EventPush, Ref: "refs/heads/main", Commit: "0000000000000000000000000000000000000000"}, nil},
		{plan.Trigger{Event: plan.EventManual, Ref: "refs/heads/main", Commit: tip}, []string{"default"}},
		{plan.Trigger{Event: plan.EventManual, Name: "plain", Commit: tip}, []string{"plain"}},
	} {
		matched, err := c.Match(test.trigger, nil)
		var got []string
		for _, m := range matched {
			got = append(got, m.Name)
		}
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("Match(%s %s %s) = %q, %v; want %q", test.trigger.Event, test.trigger.Ref, test.trigger.Name, got, err, test.want)
		}
	}
}

func TestMatchPullRequestsSchedulesAndPaths(t *testing.T) {
	tree := files{".velocityci/blueprints/b.yml": "steps: [{type: run, command: x}]"}
	for name, on := range map[string]string{
		"default": "",
		"plain":   "",
		"any":     "on: {pull_request: {}}",
		"main":    "on: {pull_request: {branches: main}}",
		"docs":    "on: {pull_request: {paths: docs/**}, push: {paths: [docs/**]}}",
		"code":    "on: {pull_request: {branches: 're*', paths: ['**', '!docs/**']}, push: {branches: main, tags: v*, paths: src/**}}",
		"nightly": "on: {schedule: [{cron: '@daily'}]}",
		"manual":  "on: {manual: true}",
	} {
		tree[".velocityci/pipelines/"+name+".yml"] = on + "\nstages: [{blueprints: [b]}]"
	}
	c, findings := mustLoad(t, tree)
	if len(findings) > 0 {
		t.Fatalf("findings: %v", findings)
	}
	const tip = "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"
	docs := func(_ string, patterns []string) (bool, error) { return plan.Matches(patterns, "docs/a.md"), nil }
	run, skip := func(name string) Matched { return Matched{Name: name} }, func(name string) Matched { return Matched{Name: name, Skip: true} }
	for _, test := range []struct {
		trigger plan.Trigger
		changed func(string, []string) (bool, error)
		want    []Matched
	}{
		{plan.Trigger{Event: plan.EventPullRequest, Ref: "refs/pull/1/head", Target: "refs/heads/main"}, docs, []Matched{run("any"), run("default"), run("docs"), run("main")}},
		{plan.Trigger{Event: plan.EventPullRequest, Ref: "refs/pull/1/head", Target: "refs/heads/release"}, docs, []Matched{run("any"), skip("code"), run("default"), run("docs")}},
		{plan.Trigger{Event: plan.EventPullRequest, Ref: "refs/pull/1/head", Target: "refs/heads/release"}, nil, []Matched{run("any"), run("code"), run("default"), run("docs")}},
		{plan.Trigger{Event: plan.EventPullRequest, Ref: "refs/pull/1/head"}, docs, []Matched{run("any"), run("default"), run("docs")}},
		{plan.Trigger{Event: plan.EventPush, Ref: "refs/heads/main"}, docs, []Matched{skip("code"), run("default"), run("docs")}},
		{plan.Trigger{Event: plan.EventPush, Ref: "refs/heads/other"}, docs, []Matched{run("default"), run("docs")}},
		{plan.Trigger{Event: plan.EventPush, Ref: "refs/tags/v1"}, docs, []Matched{run("code"), run("docs")}},
		{plan.Trigger{Event: plan.EventSchedule, Ref: "refs/heads/main"}, docs, []Matched{run("nightly")}},
		{plan.Trigger{Event: plan.EventSchedule, Ref: "refs/heads/main", Name: "nightly"}, docs, []Matched{run("nightly")}},
		{plan.Trigger{Event: plan.EventManual, Ref: "refs/heads/main", Name: "code"}, docs, []Matched{run("code")}},
	} {
		test.trigger.Commit = tip
		got, err := c.Match(test.trigger, test.changed)
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("Match(%s %s → %s), %v (-want +got):\n%s", test.trigger.Event, test.trigger.Ref, test.trigger.Target, err, diff)
		}
	}
	gone := errors.New("gone")
	broken := func(string, []string) (bool, error) { return false, gone }
	if _, err := c.Match(plan.Trigger{Event: plan.EventPush, Ref: "refs/heads/main", Commit: tip}, broken); !errors.Is(err, gone) {
		t.Errorf("Match() = %v; want %v", err, gone)
	}
}

func TestSkips(t *testing.T) {
	for message, want := range map[string]bool{
		"fix": false, "docs [skip ci]": true, "[ci skip] x": true, "x\n\nbody [Skip CI]\n": true, "skip ci": false, "[skip-ci]": false, "": false,
	} {
		if got := Skips(message); got != want {
			t.Errorf("Skips(%q) = %v; want %v", message, got, want)
		}
	}
}
