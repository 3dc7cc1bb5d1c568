package blueprint

import (
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

func TestChecks(t *testing.T) {
	for line, want := range map[string]plan.Checks{
		"":                plan.ChecksBuild,
		"checks: build\n": plan.ChecksBuild,
		"checks:\n":       plan.ChecksBuild,
		"checks: tasks\n": plan.ChecksTasks,
	} {
		p, err := drawChecks(t, line)
		if err != nil || p.Checks != want {
			t.Errorf("%q: %v, %v; want %q", line, p, err, want)
		}
	}
	if _, err := drawChecks(t, "checks: taks\n"); err == nil || !strings.Contains(err.Error(), `expected build or tasks, found "taks"`) {
		t.Errorf("checks: taks: %v", err)
	}
}

func drawChecks(t *testing.T, line string) (*plan.Plan, error) {
	t.Helper()
	config, findings, err := Load(files{
		".velocityci/blueprints/x.yml":      "steps: [{type: run, command: x}]\n",
		".velocityci/pipelines/default.yml": line + "stages: [{name: s, blueprints: [x]}]\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := findings.Err(); err != nil {
		return nil, err
	}
	return config.Draw(Request{
		Name: "default", Trigger: plan.Trigger{Event: plan.EventManual},
		Git: func(string) (string, error) { return "", nil },
	})
}
