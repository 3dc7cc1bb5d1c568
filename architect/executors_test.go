package architect

import (
	"slices"
	"testing"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A Compose project needs the plugin, and the engine below it.
func TestExecutorsOf(t *testing.T) {
	task := plan.Task{Steps: []plan.Step{{Type: plan.StepCompose, Compose: &plan.ComposeStep{}}, {Type: plan.StepRun, Run: &plan.Run{}}}}
	if got, want := executorsOf(&task), []string{"compose", "docker", "host"}; !slices.Equal(got, want) {
		t.Errorf("executorsOf = %q; want %q", got, want)
	}
}
