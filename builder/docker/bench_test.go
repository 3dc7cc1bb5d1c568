package docker

import (
	"os/exec"
	"testing"

	"github.com/velocity-ci/velocity/builder/require"
)

// BenchmarkStep, BenchmarkLastingStep and BenchmarkDockerRun are to be read side by
// side: a step in Docker may take 1.05 times what `docker run --rm` takes.
func BenchmarkStep(b *testing.B) {
	e := newExecutor(b, Limits{})
	cmd := shell(b, "true")
	for b.Loop() {
		mustRun(b, e, cmd)
	}
}

// BenchmarkLastingStep is a step that the next process could take up.
func BenchmarkLastingStep(b *testing.B) {
	e := newExecutor(b, Limits{})
	cmd := shell(b, "true")
	cmd.Begin = func(string) error { return nil }
	for b.Loop() {
		mustRun(b, e, cmd)
	}
}

func BenchmarkDockerRun(b *testing.B) {
	newExecutor(b, Limits{})
	docker, err := exec.LookPath("docker")
	require.Have(b, "docker", err)
	cmd := shell(b, "true")
	args := append([]string{"run", "--rm", cmd.Image}, cmd.Argv...)
	for b.Loop() {
		if out, err := exec.Command(docker, args...).CombinedOutput(); err != nil {
			b.Fatalf("docker run: %v\n%s", err, out)
		}
	}
}
