package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
)

// reusable is how many tasks the pushed pipeline has.
const reusable = 20

// BenchmarkRebaseReused is a whole git push of a rebased branch, which changes no
// input of any task: all of them are reused, and the push ends when that is durable.
func BenchmarkRebaseReused(b *testing.B) { rebases(b, true) }

// BenchmarkRebaseBuilt is the same by a server that reuses nothing: each task has a
// fresh checkout and runs `true`.
func BenchmarkRebaseBuilt(b *testing.B) { rebases(b, false) }

// rebases pushes a branch that is rebased again and again onto a main that moves.
func rebases(b *testing.B, reuse bool) {
	s := serve(b, fmt.Sprintf("--reuse=%t", reuse), "--builder-labels", "toolchain=1")
	configure(b, s.clone)
	s.push(b, "main") // builds the tasks
	git(b, s.clone, "checkout", "-q", "-b", "feature")
	s.push(b, "feature")
	var samples []sample
	for b.Loop() {
		git(b, s.clone, "checkout", "-q", "main")
		git(b, s.clone, "commit", "-q", "--allow-empty", "-m", "next of main")
		git(b, s.clone, "checkout", "-q", "feature")
		git(b, s.clone, "rebase", "-q", "main")
		began := time.Now()
		git(b, s.clone, "push", "-q", "--force", "origin", "feature")
		samples = append(samples, sample{wall: time.Since(began)})
		check(b, s.newest(b), reuse)
	}
	report(b, samples)
}

// configure commits a pipeline of reusable tasks.
func configure(b *testing.B, clone string) {
	b.Helper()
	blueprints := filepath.Join(clone, ".velocityci", "blueprints")
	names := make([]string, reusable)
	for i := range names {
		names[i] = fmt.Sprint("part", i)
		text := fmt.Sprintf("labels: {toolchain: \"1\"}\ninputs: [file0, part%d/**]\nsteps:\n  - {type: run, command: \"true\"}\n", i)
		if err := os.WriteFile(filepath.Join(blueprints, names[i]+".yml"), []byte(text), 0o666); err != nil {
			b.Fatal(err)
		}
	}
	text := "stages:\n  - name: all\n    blueprints: [" + strings.Join(names, ", ") + "]\n"
	if err := os.WriteFile(filepath.Join(clone, ".velocityci", "pipelines", "default.yml"), []byte(text), 0o666); err != nil {
		b.Fatal(err)
	}
	git(b, clone, "add", "-A")
	git(b, clone, "commit", "-q", "-m", "parts")
}

// check makes sure that what was measured is what was meant.
func check(b *testing.B, r *build.Build, reuse bool) {
	b.Helper()
	reused := 0
	for _, t := range r.Stages[0].Tasks {
		if !t.Reused.Zero() {
			reused++
		}
	}
	if want := map[bool]int{true: reusable}[reuse]; reused != want || len(r.Stages[0].Tasks) != reusable {
		b.Fatalf("%d of %d tasks were reused; want %d of %d", reused, len(r.Stages[0].Tasks), want, reusable)
	}
}
