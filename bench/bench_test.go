// Package bench measures the whole program as its users start it, beside
// baselines in the same run:
//
//	go test -run '^$' -bench . -benchtime 20x ./bench
//
// Times are medians over the iterations, in milliseconds, but that of processors is
// the mean; memory is the largest resident set of a process, in megabytes. Results stand in docs/benchmarks.md.
package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// velocity is the program under test, built once.
var velocity string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "velocity-bench-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		velocity = filepath.Join(dir, "velocity")
		for name, value := range map[string]string{
			"HOME": dir, "XDG_CACHE_HOME": filepath.Join(dir, "cache"), "GIT_CONFIG_NOSYSTEM": "1",
			"GIT_AUTHOR_NAME": "b", "GIT_AUTHOR_EMAIL": "b@example.com", "GIT_COMMITTER_NAME": "b", "GIT_COMMITTER_EMAIL": "b@example.com",
		} {
			os.Setenv(name, value)
		}
		return m.Run()
	}())
}

// program builds velocity when the first benchmark needs it.
func program(b *testing.B) string {
	b.Helper()
	if _, err := os.Stat(velocity); err != nil {
		compile(b, velocity, "github.com/velocity-ci/velocity")
	}
	return velocity
}

// compile builds a program as releases are built.
func compile(b *testing.B, into, source string) {
	b.Helper()
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", into, source)
	cmd.Env = append(slices.Clone(goEnvironment), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
}

// goEnvironment is the one before TestMain gave the measured programs theirs: the
// compiler needs its caches.
var goEnvironment = os.Environ()

// sample is what is known of one run of something.
type sample struct {
	wall time.Duration
	cpu  time.Duration // of the process and those it waited for; 0 if it is not known
	rss  int64         // bytes; 0 if it is not known
}

// run runs a command to its end.
func run(b *testing.B, dir string, argv ...string) sample {
	b.Helper()
	var out bytes.Buffer
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	began := time.Now()
	err := cmd.Run()
	s := sample{wall: time.Since(began)}
	if err != nil {
		b.Fatalf("%v: %v\n%s", argv, err, out.String())
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok && usage.Maxrss > own(b) {
		s.rss = usage.Maxrss << 10
	}
	s.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return s
}

// own is the largest resident set of this process, in kB. What it starts has that, too,
// for the moment before it is another program, so that less cannot be told.
func own(b *testing.B) int64 {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return usage.Maxrss
}

// report prints the medians.
func report(b *testing.B, samples []sample) {
	b.Helper()
	middle := median(samples)
	var rss int64
	var cpu time.Duration
	for _, s := range samples {
		rss = max(rss, s.rss)
		cpu += s.cpu
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(milliseconds(middle), "ms")
	b.ReportMetric(milliseconds(samples[0].wall), "ms-best")
	if rss > 0 {
		b.ReportMetric(float64(rss)/1e6, "MB")
	}
	if cpu > 0 {
		b.ReportMetric(milliseconds(cpu)/float64(len(samples)), "cpu-ms")
	}
}

// median sorts samples by their time, and is the one in the middle.
func median(samples []sample) time.Duration {
	slices.SortFunc(samples, func(x, y sample) int { return int(x.wall - y.wall) })
	return samples[len(samples)/2].wall
}

func milliseconds(d time.Duration) float64 { return float64(d) / 1e6 }

// each runs the same command over and over.
func each(b *testing.B, dir string, argv ...string) {
	b.Helper()
	run(b, dir, argv...) // caches are warm afterwards
	var samples []sample
	for b.Loop() {
		samples = append(samples, run(b, dir, argv...))
	}
	report(b, samples)
}

// git runs git and returns what it prints.
func git(b *testing.B, dir string, args ...string) string {
	b.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// project makes a repository of five files besides its configuration, which has
// stages of so many tasks of one step each.
func project(b *testing.B, stages, tasks int, step string) string {
	b.Helper()
	dir := b.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			b.Fatal(err)
		}
	}
	write(".velocityci/blueprints/noop.yml", "steps:\n  - type: run\n    "+step+"\n")
	pipeline := "stages:\n"
	for s := range stages {
		pipeline += fmt.Sprintf("  - name: stage%d\n    blueprints: [%s]\n", s, strings.Join(slices.Repeat([]string{"noop"}, tasks), ", "))
	}
	write(".velocityci/pipelines/default.yml", pipeline)
	for i := range 3 {
		write(fmt.Sprintf("file%d", i), "text\n")
	}
	git(b, dir, "init", "-q", "-b", "main")
	git(b, dir, "add", "-A")
	git(b, dir, "commit", "-q", "-m", "one")
	return dir
}

func BenchmarkBaselineShTrue(b *testing.B) { each(b, b.TempDir(), "sh", "-c", "true") }

func BenchmarkVersion(b *testing.B) { each(b, b.TempDir(), program(b), "version") }

func BenchmarkRunOneStep(b *testing.B) {
	each(b, project(b, 1, 1, `command: "true"`), program(b), "run")
}

func BenchmarkRun10x10(b *testing.B) {
	each(b, project(b, 10, 10, `command: "true"`), program(b), "run", "--capacity", "10")
}

// BenchmarkBaselineMake10x10 is the same graph for make: ten times ten, each ten
// after the ten before.
func BenchmarkBaselineMake10x10(b *testing.B) {
	if _, err := exec.LookPath("make"); err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	text := "all: $(addprefix t9-,0 1 2 3 4 5 6 7 8 9)\n"
	for s := range 10 {
		for t := range 10 {
			text += fmt.Sprintf("t%d-%d:", s, t)
			for p := range 10 {
				if s > 0 {
					text += fmt.Sprintf(" t%d-%d", s-1, p)
				}
			}
			text += "\n\t@sh -c true\n"
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "Makefile"), []byte(text), 0o666); err != nil {
		b.Fatal(err)
	}
	each(b, dir, "make", "-j10", "all")
}

func BenchmarkRecord10x10(b *testing.B) {
	each(b, project(b, 10, 10, `command: "true"`), program(b), "run", "--record", "--capacity", "10")
}

// BenchmarkBaselineWorktree100 is what a checkout for each of 100 tasks costs by
// git's own means.
func BenchmarkBaselineWorktree100(b *testing.B) {
	dir := project(b, 1, 1, `command: "true"`)
	var samples []sample
	for b.Loop() {
		trees := b.TempDir()
		began := time.Now()
		for i := range 100 {
			git(b, dir, "worktree", "add", "-q", "--detach", filepath.Join(trees, fmt.Sprint(i)))
		}
		samples = append(samples, sample{wall: time.Since(began)})
		if err := os.RemoveAll(trees); err != nil {
			b.Fatal(err)
		}
		git(b, dir, "worktree", "prune")
	}
	report(b, samples)
}
