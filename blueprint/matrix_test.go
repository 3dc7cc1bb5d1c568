package blueprint

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// taskNames lists the tasks of a plan.
func taskNames(stages []plan.Stage) []string {
	var names []string
	for _, s := range stages {
		for _, t := range s.Tasks {
			names = append(names, t.Name)
		}
	}
	return names
}

// drawnNames draws what is asked for and lists its tasks.
func drawnNames(t *testing.T, c *Config, req Request) []string {
	t.Helper()
	return taskNames(mustDraw(t, c, req).Stages)
}

// The example by which the documentation of GitHub Actions explains include, and
// what exclude does before it.
func TestMatrixCombinations(t *testing.T) {
	for _, test := range []struct {
		name, matrix string
		want         []string
	}{
		{
			"include", `{fruit: [apple, pear], animal: [cat, dog], include: [{color: green}, {color: pink, animal: cat}, {fruit: apple, shape: circle}, {fruit: banana}, {fruit: banana, animal: cat}]}`,
			[]string{
				"b (fruit=apple, animal=cat, color=pink, shape=circle)", "b (fruit=apple, animal=dog, color=green, shape=circle)",
				"b (fruit=pear, animal=cat, color=pink)", "b (fruit=pear, animal=dog, color=green)",
				"b (fruit=banana)", "b (fruit=banana, animal=cat)",
			},
		},
		{"exclude", `{a: [1, 2], b: [x, y], exclude: [{a: 1}, {b: y, a: 2}]}`, []string{"b (a=2, b=x)"}},
		{"excluded and included", `{a: [1, 2], exclude: [{a: 1}], include: [{a: 1, c: d}]}`, []string{"b (a=2)", "b (a=1, c=d)"}},
		{"only include", `{include: [{a: 1}, {a: 2, c: d}]}`, []string{"b (a=1)", "b (a=2, c=d)"}},
		{"single value", `{a: 1}`, []string{"b (a=1)"}},
		{"empty", `{}`, []string{"b"}},
		{"same name", `{a: [` + strings.Repeat("x", 50) + "1, " + strings.Repeat("x", 50) + "2]}", []string{"b (a=" + strings.Repeat("x", 40) + "…)", "b (a=" + strings.Repeat("x", 40) + "…)#2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, findings := mustLoad(t, one("matrix: "+test.matrix+"\nsteps: [{type: run, command: x}]"))
			if len(findings) > 0 {
				t.Fatal(findings)
			}
			if diff := cmp.Diff(test.want, drawnNames(t, c, request("b", commit()))); diff != "" {
				t.Errorf("tasks (-want +got):\n%s", diff)
			}
		})
	}
}

// A value that somebody gives chooses among the combinations.
func TestMatrixGivenValuesChoose(t *testing.T) {
	c, findings := mustLoad(t, files{
		".velocityci/blueprints/b.yml": "parameters: [{name: os, default: linux}]\nmatrix: {os: [linux, mac], go: [a, b], include: [{os: mac, extra: e}]}\nsteps: [{type: run, command: 'x ${os} ${go} ${extra}'}]",
		".velocityci/pipelines/p.yml":  "stages: [{blueprints: [{name: b, parameters: {os: mac}}]}]",
	})
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	if got := drawnNames(t, c, request("p", commit())); !slices.Equal(got, []string{"b (os=mac, go=a, extra=e)", "b (os=mac, go=b, extra=e)"}) {
		t.Errorf("the pipeline's value chose %q", got)
	}
	req := request("p", commit())
	req.Given = map[string]string{"os": "linux", "go": "b"}
	p := mustDraw(t, c, req)
	if got := taskNames(p.Stages); !slices.Equal(got, []string{"b (os=linux, go=b)"}) {
		t.Errorf("the given values chose %q", got)
	}
	if got := p.Stages[0].Tasks[0].Steps[0].Run.Command; !slices.Equal(got, []plan.Text{"x", "linux", "b", ""}) {
		t.Errorf("command = %q; a name that a combination lacks is empty", got)
	}
	req.Given = map[string]string{"go": "c"}
	var bad *ValueError
	if _, err := c.Draw(req); !errors.As(err, &bad) || bad.Name != "go" {
		t.Errorf("Draw with a value of no combination = %v; want a *ValueError", err)
	}
}

// However many lists there are, a plan has at most plan.MaxTasks tasks, and each
// combination of the lists once.
func TestMatrixIsBoundedAndComplete(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, size := "matrix: {", 1
		for i := range rapid.IntRange(1, 6).Draw(t, "lists") {
			n := rapid.IntRange(1, 9).Draw(t, "values")
			size *= n
			var values []string
			for j := range n {
				values = append(values, fmt.Sprint(j))
			}
			text += fmt.Sprintf("n%d: [%s], ", i, strings.Join(values, ", "))
		}
		c, findings, err := Load(one(text + "}\nsteps: [{type: run, command: [x]}]"))
		if err != nil {
			t.Fatal(err)
		}
		p, err := c.Draw(request("b", commit()))
		if size > plan.MaxTasks {
			if err == nil || findings.Err() == nil {
				t.Fatalf("%d combinations are drawn", size)
			}
			return
		}
		if err != nil || len(p.Stages[0].Tasks) != size {
			t.Fatalf("Draw() = %v; want %d tasks", err, size)
		}
		names := taskNames(p.Stages)
		slices.Sort(names)
		if len(slices.Compact(names)) != size {
			t.Fatal("two tasks have one name")
		}
	})
}

// Several blueprints that are within the bound each are not together.
func TestMatrixBoundIsOfThePlan(t *testing.T) {
	var list []string
	for i := range 1500 {
		list = append(list, fmt.Sprint(i))
	}
	c, _ := mustLoad(t, files{
		".velocityci/blueprints/b.yml": "matrix: {a: [" + strings.Join(list, ", ") + "]}\nsteps: [{type: run, command: x}]",
		".velocityci/pipelines/p.yml":  "stages: [{blueprints: [b, b]}]",
	})
	if _, err := c.Draw(request("p", commit())); err == nil || !strings.Contains(err.Error(), "3000 tasks in one plan") {
		t.Errorf("Draw of 3000 tasks = %.200v", err)
	}
}
