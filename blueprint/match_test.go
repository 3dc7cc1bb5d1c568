package blueprint

import (
	"slices"
	"testing"

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
