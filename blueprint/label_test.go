package blueprint

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDrawLabels(t *testing.T) {
	c, findings := mustLoad(t, files{
		".velocityci/blueprints/outer.yml": `
labels: {os: linux, size: "${size}"}
parameters: [{name: size, default: large}]
steps: [{type: blueprint, name: inner}]
`,
		".velocityci/blueprints/inner.yml": "labels: {os: linux, gpu: 'true'}\nsteps: [{type: run, command: [x]}]",
		".velocityci/blueprints/other.yml": "labels: {os: mac}\nsteps: [{type: blueprint, name: inner}]",
		".velocityci/blueprints/plain.yml": "steps: [{type: run, command: [x]}]",
	})
	if len(findings) > 0 {
		t.Fatalf("findings: %v", findings)
	}
	for name, want := range map[string]map[string]string{
		"outer": {"os": "linux", "size": "large", "gpu": "true"}, "plain": nil,
	} {
		task := mustDraw(t, c, request(name, commit())).Stages[0].Tasks[0]
		if diff := cmp.Diff(want, task.Labels); diff != "" {
			t.Errorf("labels of %s (-want +got):\n%s", name, diff)
		}
	}
	_, err := c.Draw(request("other", commit()))
	if want := "inner.yml:1:10: error: label os is asked for with two values, mac and linux: no builder has both"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Draw: %v; want %s", err, want)
	}
	req := request("outer", commit())
	req.Given = map[string]string{"size": "not so small"}
	var found Findings
	if _, err = c.Draw(req); !errors.As(err, &found) || !strings.Contains(err.Error(), `label size cannot have the value "not so small"`) {
		t.Errorf("Draw: %v", err)
	}
}
