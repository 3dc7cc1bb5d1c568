package app_test

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cloned makes the step's checkout one of depth 1 of a bare origin, as
// actions/checkout does.
func (s *jobStep) cloned() (origin string) {
	s.t.Helper()
	origin = s.path("origin.git")
	gitAt(s.t, s.folder, "clone", "-q", "--bare", s.workspace, origin)
	gitAt(s.t, origin, "update-ref", "refs/heads/main", s.env["GITHUB_SHA"])
	gitAt(s.t, origin, "symbolic-ref", "HEAD", "refs/heads/main")
	s.workspace = s.path("checkout")
	s.env["GITHUB_WORKSPACE"] = s.workspace
	gitAt(s.t, s.folder, "clone", "-q", "--depth=1", "file://"+origin, s.workspace)
	s.git("checkout", "-q", "--detach")
	return origin
}

// A recorded build is a note at origin, beside those of others.
func TestActionRecords(t *testing.T) {
	t.Parallel()
	s := newStep(t, one("echo recorded >left-behind; "+facts))
	s.git("commit", "-q", "--allow-empty", "-m", "two")
	s.env["GITHUB_SHA"] = s.git("rev-parse", "HEAD")
	origin := s.cloned()
	gitAt(t, origin, "notes", "--ref=velocity", "add", "-m", "velocity/1 zzzzzz-0000000001 other: said by others", "main")

	r := s.run(map[string]string{"INPUT_RECORD": "true"})
	id := r.outputs["build"]
	r.check(t, 0, map[string]string{"outcome": "succeeded", "build": id})
	store, _, ok := strings.Cut(id, "-")
	if !ok {
		t.Fatalf("the build is %q", id)
	}
	has(t, "the step", r.raw, "published the result to origin", "branch=[main]")
	has(t, "the summary", r.summary, "Recorded as build `"+id+"`")
	has(t, "the note", gitAt(t, origin, "log", "--notes=velocity", "-1"), "said by others", store+"-0000000001 default: succeeded")
	hasNot(t, "origin", gitAt(t, origin, "for-each-ref"), "refs/velocity/")
	hasNot(t, "the checkout", s.git("status", "--porcelain"), "left-behind")

	// All of the build, on request; and nothing.
	r = s.run(map[string]string{"INPUT_RECORD": "true", "INPUT_PUBLISH": "builds"})
	r.check(t, 0, map[string]string{"outcome": "succeeded", "build": store + "-2"})
	has(t, "origin", gitAt(t, origin, "for-each-ref"), "refs/velocity/"+store+"/archive/")
	before := gitAt(t, origin, "for-each-ref")
	r = s.run(map[string]string{"INPUT_RECORD": "true", "INPUT_PUBLISH": "none"})
	r.check(t, 0, map[string]string{"outcome": "succeeded", "build": store + "-3"})
	if after := gitAt(t, origin, "for-each-ref"); after != before {
		t.Errorf("origin has\n%s\nafter publishing nothing", after)
	}

	// A push that is refused keeps no result from the steps that follow.
	s.git("remote", "set-url", "origin", filepath.Join(s.folder, "gone.git"))
	r = s.run(map[string]string{"INPUT_RECORD": "true"})
	r.check(t, 3, map[string]string{"outcome": "succeeded", "build": store + "-4"})
	has(t, "the error", r.log.All("error")[0].Data, "publish the result", "contents: write")
	has(t, "the summary", r.summary, "Velocity: success")
}

// A runner that cancels the job interrupts the step, which ends what it began and
// tells how far it came.
func TestActionCanceled(t *testing.T) {
	t.Parallel()
	s := newStep(t, one("sleep 1000 & echo $$ $! >begun; wait; echo never"))
	path := filepath.Join(s.workspace, "begun")
	if err := syscall.Mkfifo(path, 0o666); err != nil {
		t.Fatal(err)
	}
	begun, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer begun.Close()
	s.fresh()
	cmd, stdout, stderr := s.command(nil)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		_ = begun.SetReadDeadline(time.Now()) // nobody will write any more
	}()
	said, err := bufio.NewReader(begun).ReadString('\n')
	if err != nil {
		t.Fatalf("the step did not begin: %v, %v\n%s", err, <-ended, stdout)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	<-ended
	r := s.result(cmd, stdout, stderr)
	r.check(t, 1, failed)
	has(t, "the output", r.raw, "default: failed 0/1", "canceled")
	hasNot(t, "the output", r.log.In("default"), "never")
	has(t, "the summary", r.summary, "Velocity: cancelled")
	folder, err := filepath.EvalSymlinks(s.folder)
	if err != nil {
		t.Fatal(err)
	}
	for pid := range strings.FieldsSeq(said) {
		if worksIn(pid, folder) {
			t.Errorf("process %s of the step is left", pid)
		}
	}
}
