package builder

import (
	"os/exec"
	"testing"

	"github.com/velocity-ci/velocity/architect/dispatch"
)

// BenchmarkNoOp is one attempt with one step that runs `true`, all messages
// included. BenchmarkExecTrue is the part of it that nobody can save.
func BenchmarkNoOp(b *testing.B) {
	w := newBench(b)
	n := 0
	for b.Loop() {
		n++
		w.take(b, command("true"), func(a *dispatch.Assignment) { a.Attempt.Number = n })
		if r := <-w.ear.ends; r.Verdict != dispatch.Succeeded {
			b.Fatalf("ended %s, %q", r.Verdict, r.Reason)
		}
	}
}

func BenchmarkExecTrue(b *testing.B) {
	for b.Loop() {
		if err := exec.Command("true").Run(); err != nil {
			b.Fatal(err)
		}
	}
}
