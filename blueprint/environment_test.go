package blueprint

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The closer to the task a variable is set, the more it counts.
func TestEnvironmentOfAllSteps(t *testing.T) {
	c, findings := mustLoad(t, files{
		".velocity.yml":                     "environment: {A: root, B: root, C: root, D: root, E: root}",
		".velocityci/pipelines/p.yml":       "environment: {B: pipeline, C: pipeline, D: pipeline, E: pipeline}\nstages: [{blueprints: [outer]}]",
		".velocityci/blueprints/outer.yml":  "environment: {E: outer}\nsteps: [{type: blueprint, names: [first, second]}]",
		".velocityci/blueprints/first.yml":  "environment: {D: first, E: first}\nsteps: [{type: run, command: x}]",
		".velocityci/blueprints/second.yml": "environment: {C: second, D: second, E: second}\nsteps: [{type: run, command: x}]",
	})
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	got := map[string]string{}
	for _, v := range mustDraw(t, c, request("p", commit())).Stages[0].Tasks[0].Environment {
		got[v.Name] = string(v.Value)
	}
	want := map[string]string{"A": "root", "B": "pipeline", "C": "second", "D": "first", "E": "outer"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}
