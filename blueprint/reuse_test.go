package blueprint

import (
	"errors"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

const pinned = "golang@sha256:0123"

// keyOf draws the last task of a pipeline of blueprints a and b and returns its
// reuse key.
func keyOf(t *testing.T, tree files, change func(*Request)) string {
	t.Helper()
	if _, ok := tree[".velocityci/pipelines/p.yml"]; !ok {
		tree[".velocityci/pipelines/p.yml"] = "stages: [{blueprints: [b]}]"
	}
	c, findings := mustLoad(t, tree)
	if err := findings.Err(); err != nil {
		t.Fatal(err)
	}
	req := request("p", commit())
	req.Lookup = func(name string) (string, bool) { return "", name == "key" }
	req.Digest = func(patterns []string) (string, error) { return "content of " + strings.Join(patterns, " "), nil }
	if change != nil {
		change(&req)
	}
	stages := mustDraw(t, c, req).Stages
	last := stages[len(stages)-1].Tasks
	return last[len(last)-1].ReuseKey
}

func reusableBlueprint(more, step string) files {
	return one("inputs: [src/**]\nparameters: [{name: os, default: linux}, {name: key, secret: true}]\n" + more + "\nsteps: [{type: run, image: " + pinned + ", command: [x]}" + step + "]")
}

// What the outcome depends on changes the key, and nothing else does.
func TestReuseKeyStandsForTheOutcome(t *testing.T) {
	key := keyOf(t, reusableBlueprint("", ""), nil)
	if len(key) != 64 || strings.Trim(key, "0123456789abcdef") != "" {
		t.Fatalf("key %q; want SHA-256 in hex", key)
	}
	for name, tree := range map[string]files{
		"description":   reusableBlueprint("description: other", ""),
		"retries":       reusableBlueprint("retries: 3", ""),
		"timeout":       reusableBlueprint("timeout: 5m", ""),
		"other name":    {".velocityci/blueprints/c.yml": reusableBlueprint("", "")[".velocityci/blueprints/b.yml"], ".velocityci/pipelines/p.yml": "stages: [{blueprints: [c]}]"},
		"other place":   {".velocityci/blueprints/b.yml": "# moved down\n" + reusableBlueprint("", "")[".velocityci/blueprints/b.yml"]},
		"ignored":       {".velocityci/blueprints/b.yml": reusableBlueprint("", "")[".velocityci/blueprints/b.yml"], ".velocityci/pipelines/p.yml": "stages: [{blueprints: [{name: b, ignoreErrors: true}]}]"},
		"cache":         reusableBlueprint("caches: [{key: k, paths: [c]}]", ""),
		"step in words": reusableBlueprint("", "")} {
		if got := keyOf(t, tree, nil); got != key {
			t.Errorf("%s: the key became %s", name, got)
		}
	}
	for name, got := range map[string]string{
		"environment": keyOf(t, reusableBlueprint("environment: {A: b}", ""), nil),
		"artifacts":   keyOf(t, reusableBlueprint("artifacts: dist", ""), nil),
		"step":        keyOf(t, reusableBlueprint("", ", {type: run, image: "+pinned+", command: [y]}"), nil),
		"labels":      keyOf(t, reusableBlueprint("labels: {os: linux}", ""), nil),
		"parameter":   keyOf(t, reusableBlueprint("", ""), func(r *Request) { r.Given = map[string]string{"os": "mac"} }),
		"files": keyOf(t, reusableBlueprint("", ""), func(r *Request) {
			r.Digest = func([]string) (string, error) { return "other content", nil }
		}),
		"image": keyOf(t, one(strings.ReplaceAll(reusableBlueprint("", "")[".velocityci/blueprints/b.yml"], pinned, "golang@sha256:4567")), nil),
	} {
		if got == key || got == "" {
			t.Errorf("%s: the key is %q; want another", name, got)
		}
	}
}

// DESIGN §5: what is not known to be equal is not reused, and lint says why.
func TestNotReusable(t *testing.T) {
	for name, tree := range map[string]files{
		"effects":         reusableBlueprint("effects: true", ""),
		"image":           reusableBlueprint("", ", {type: run, image: golang, command: [x]}"),
		"service":         reusableBlueprint("", ", {type: run, image: "+pinned+", command: [x], services: [{image: redis}]}"),
		"host":            reusableBlueprint("", ", {type: run, command: [x]}"),
		"build value":     reusableBlueprint("", ", {type: run, image: "+pinned+", command: ['${build.number}']}"),
		"build variable":  reusableBlueprint("", ", {type: run, image: "+pinned+", script: 'echo $VELOCITY_BUILD_ID'}"),
		"commit variable": reusableBlueprint("", ", {type: run, image: "+pinned+", command: sh -c 'echo $VELOCITY_GIT_COMMIT_SHA_LONG'}"),
		"secret":          reusableBlueprint("", ", {type: run, image: "+pinned+", command: [x], secrets: [key]}"),
		"mentioned":       reusableBlueprint("", ", {type: run, image: "+pinned+", command: ['${key}']}"),
		"push":            reusableBlueprint("", ", {type: push, tags: t}"),
		"compose":         reusableBlueprint("", ", {type: compose, composeFile: c.yml}"),
		"derived":         one("inputs: [a]\nparameters: [{use: x, exports: {a: b}}]\nsteps: [{type: run, image: " + pinned + ", command: [x]}]"),
	} {
		if key := keyOf(t, tree, nil); key != "" {
			t.Errorf("%s: the task has the key %s", name, key)
		}
		if _, findings := mustLoad(t, tree); len(findings) == 0 || !strings.Contains(findings.Error(), "is not reused") {
			t.Errorf("%s: findings %v; want to be told", name, findings)
		}
	}
	noInputs := one("steps: [{type: run, image: " + pinned + ", command: [x]}]")
	for name, key := range map[string]string{
		"no inputs": keyOf(t, noInputs, nil),
		"no digest": keyOf(t, reusableBlueprint("", ""), func(r *Request) { r.Digest = nil }),
		"value":     keyOf(t, one("inputs: [a]\nparameters: [{name: i, default: golang}]\nsteps: [{type: run, image: '${i}', command: [x]}]"), nil),
	} {
		if key != "" {
			t.Errorf("%s: the task has the key %s", name, key)
		}
	}
	if keyOf(t, reusableBlueprint("labels: {toolchain: go1.26}", ", {type: run, command: [x]}"), nil) == "" {
		t.Error("a task of a builder with the label toolchain has no key")
	}
}

// Artifacts of earlier tasks are inputs as well.
func TestReuseKeyHoldsWhatIsNeeded(t *testing.T) {
	tree := func(image string) files {
		return files{
			".velocityci/blueprints/a.yml": "inputs: [a/**]\nsteps: [{type: run, image: " + image + ", command: [x]}]",
			".velocityci/blueprints/b.yml": "inputs: [src/**]\nneeds: {artifacts: a}\nsteps: [{type: run, image: " + pinned + ", command: [x]}]",
			".velocityci/pipelines/p.yml":  "stages: [{blueprints: [a]}, {blueprints: [b]}]",
		}
	}
	one, two := keyOf(t, tree(pinned), nil), keyOf(t, tree("other@sha256:0"), nil)
	if one == "" || two == "" || one == two {
		t.Errorf("keys %q and %q; want two", one, two)
	}
	if key := keyOf(t, tree("golang"), nil); key != "" {
		t.Errorf("key %q although what is needed has none", key)
	}
}

func TestDigestFails(t *testing.T) {
	c, _ := mustLoad(t, reusableBlueprint("", ""))
	gone := errors.New("gone")
	req := request("b", commit())
	req.Given = map[string]string{"key": "x"}
	req.Digest = func([]string) (string, error) { return "", gone }
	if _, err := c.Draw(req); !errors.Is(err, gone) {
		t.Errorf("Draw() = %v; want %v", err, gone)
	}
}

// Needs name tasks of earlier stages, by name or by blueprint.
func TestDrawNeeds(t *testing.T) {
	tree := files{
		".velocityci/blueprints/a.yml": "matrix: {x: [1, 2]}\nsteps: [{type: run, command: [x]}]",
		".velocityci/blueprints/b.yml": "parameters: [{name: x, default: '2'}]\nneeds: {artifacts: ['a (x=${x})']}\nsteps: [{type: run, command: [x]}]",
		".velocityci/pipelines/p.yml":  "stages: [{blueprints: [a]}, {blueprints: [b, {name: b, parameters: {x: '3'}, when: 'false'}]}]",
		".velocityci/pipelines/q.yml":  "stages: [{blueprints: [a, b]}]",
		".velocityci/pipelines/r.yml":  "stages: [{blueprints: [{name: a, when: 'false'}]}, {blueprints: [b]}]",
	}
	c, findings := mustLoad(t, tree)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	task := mustDraw(t, c, request("p", commit())).Stages[1].Tasks[0]
	if len(task.Needs) != 1 || task.Needs[0] != plan.Key(0, 1) {
		t.Errorf("needs %v; want s0t1", task.Needs)
	}
	if task = mustDraw(t, c, request("b", commit())).Stages[0].Tasks[0]; task.Needs != nil {
		t.Errorf("on its own it needs %v", task.Needs)
	}
	if task = mustDraw(t, c, request("r", commit())).Stages[1].Tasks[0]; task.Needs != nil {
		t.Errorf("of a task that is skipped it needs %v", task.Needs)
	}
	if _, err := c.Draw(request("q", commit())); err == nil || !strings.Contains(err.Error(), `no task of an earlier stage is called "a (x=2)"`) {
		t.Errorf("Draw(q) = %v; tasks of the same stage are not ready", err)
	}
}
