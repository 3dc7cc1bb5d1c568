package bench

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
	store "github.com/velocity-ci/velocity/storage/git"
)

// served is a bare repository with the hook, a clone of it, and a server.
type served struct {
	bare, clone string
}

// bare is a bare repository and the clone that pushes to it.
func bare(b *testing.B) served {
	b.Helper()
	from := project(b, 1, 1, `command: "true"`)
	s := served{bare: filepath.Join(b.TempDir(), "repo.git"), clone: from}
	git(b, from, "clone", "-q", "--bare", from, s.bare)
	git(b, from, "remote", "add", "origin", s.bare)
	return s
}

// serve starts a server for a project's bare clone, with further flags, and waits
// until it listens.
func serve(b *testing.B, flags ...string) served {
	b.Helper()
	s := bare(b)
	run(b, s.clone, program(b), "hook", "install", s.bare, "--executor", "host")
	cmd := exec.Command(program(b), append([]string{"serve", "--repo", s.bare}, flags...)...)
	log, err := cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewScanner(log)
	for lines.Scan() && !strings.Contains(lines.Text(), "serving") {
	}
	go func() {
		for lines.Scan() { // a full pipe would hold the server up
		}
	}()
	b.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	s.push(b, "warm-up")
	return s
}

// push pushes a new commit to a branch and returns how long git push took, which
// ends when the result is in a note.
func (s served) push(b *testing.B, branch string) time.Duration {
	b.Helper()
	git(b, s.clone, "commit", "-q", "--allow-empty", "-m", "next")
	began := time.Now()
	git(b, s.clone, "push", "-q", "origin", "HEAD:refs/heads/"+branch)
	return time.Since(began)
}

// newest is the newest build of the clone's HEAD.
func (s served) newest(b *testing.B) *build.Build {
	b.Helper()
	repo, err := store.Open(b.Context(), s.bare)
	if err != nil {
		b.Fatal(err)
	}
	builds := storage.Open(repo, time.Now)
	id, err := builds.Find(b.Context(), git(b, s.clone, "rev-parse", "HEAD"))
	if err != nil {
		b.Fatal(err)
	}
	r, _, err := builds.Build(b.Context(), id)
	if err != nil || r.State() != build.Succeeded {
		b.Fatalf("build %v, %v", r, err)
	}
	return r
}

// BenchmarkPushToFirstStep is the time from the hand-over of a push to a running
// server until its first user step starts, both as the build records them.
func BenchmarkPushToFirstStep(b *testing.B) {
	s := serve(b)
	var samples []sample
	for b.Loop() {
		s.push(b, "main")
		r := s.newest(b)
		samples = append(samples, sample{wall: r.Stages[0].Tasks[0].Steps[1].Started.Sub(r.Trigger.Received)})
	}
	report(b, samples)
}

// BenchmarkPushToDurable is a whole git push to a served repository: it ends when
// the result is durable and in a note.
func BenchmarkPushToDurable(b *testing.B) {
	s := serve(b)
	var samples []sample
	for b.Loop() {
		samples = append(samples, sample{wall: s.push(b, "main")})
	}
	report(b, samples)
}

// BenchmarkBaselineShellHook is a whole git push to a repository whose hook runs
// the step itself, records nothing and shows nothing.
func BenchmarkBaselineShellHook(b *testing.B) {
	s := bare(b)
	if err := os.WriteFile(filepath.Join(s.bare, "hooks", "post-receive"), []byte("#!/bin/sh\ntrue\n"), 0o755); err != nil {
		b.Fatal(err)
	}
	var samples []sample
	for b.Loop() {
		samples = append(samples, sample{wall: s.push(b, "main")})
	}
	report(b, samples)
}

// BenchmarkPushNoServer is a whole git push when the hook has to start the server.
func BenchmarkPushNoServer(b *testing.B) {
	s := bare(b)
	run(b, s.clone, program(b), "hook", "install", s.bare, "--executor", "host")
	var samples []sample
	for b.Loop() {
		samples = append(samples, sample{wall: s.push(b, "main")})
	}
	report(b, samples)
}

// BenchmarkFiftyPushes is 50 pushes at once from 50 clones: from the end of the
// last hand-over until all 50 outcomes are durable. The pushes detach, so that
// only the server is at work; the outcomes are then awaited.
func BenchmarkFiftyPushes(b *testing.B) {
	const pushes = 50
	s := serve(b)
	clones := make([]string, pushes)
	for i := range clones {
		clones[i] = filepath.Join(b.TempDir(), "clone")
		git(b, s.clone, "clone", "-q", s.bare, clones[i])
	}
	var samples []sample
	for round := 0; b.Loop(); round++ {
		commits := make([]plan.Commit, pushes)
		for i, dir := range clones {
			git(b, dir, "commit", "-q", "--allow-empty", "-m", fmt.Sprint(round, " ", i))
			commits[i] = plan.Commit(git(b, dir, "rev-parse", "HEAD"))
		}
		var group sync.WaitGroup
		for i, dir := range clones {
			group.Go(func() {
				git(b, dir, "push", "-q", "-o", "velocity.detach", "origin", fmt.Sprintf("HEAD:refs/heads/r%d-%d", round, i))
			})
		}
		group.Wait()
		began := time.Now()
		s.await(b, commits)
		samples = append(samples, sample{wall: time.Since(began)})
	}
	report(b, samples)
}

// await waits until every commit has a note. It looks every few milliseconds, so
// as not to take a core away from the server.
func (s served) await(b *testing.B, commits []plan.Commit) {
	b.Helper()
	repo, err := store.Open(b.Context(), s.bare)
	if err != nil {
		b.Fatal(err)
	}
	builds := storage.Open(repo, time.Now)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	deadline := time.After(time.Minute)
	for _, commit := range commits {
		for done := false; !done; {
			known, err := builds.OfCommit(b.Context(), commit)
			if err != nil {
				b.Fatal(err)
			}
			if len(known) > 0 {
				one, _, err := builds.Build(b.Context(), known[0].ID)
				if err != nil {
					b.Fatal(err)
				}
				if done = one.State().Final(); done {
					break
				}
			}
			select {
			case <-look.C:
			case <-deadline:
				b.Fatalf("no result for %s", commit)
			}
		}
	}
}
