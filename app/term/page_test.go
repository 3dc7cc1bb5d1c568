package term

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
)

// failedStory ends with a lost attempt, a failed step and a stage that never ran.
func failedStory(t *testing.T) *build.Build {
	s := newStory(t, recorded,
		build.StagePlan{Name: "test", Tasks: []build.TaskPlan{task("s0t0", "unit", "vet", "go test")}},
		build.StagePlan{Name: "deploy", Tasks: []build.TaskPlan{task("s1t0", "deploy", "deploy")}},
	)
	s.do(begin("s0t0")...)
	s.do(build.Move{Kind: build.Interrupt, Task: "s0t0", Attempt: 1, Reason: "lost builder"})
	s.do(begin("s0t0")...)
	for i := range 2 {
		s.do(stepMove("s0t0", i, build.Succeeded, s.at))
	}
	failing := stepMove("s0t0", 2, build.Failed, s.at)
	failing.Step.Reason, failing.Step.Exit = "exit 2", 2
	s.do(failing)
	s.do(build.Move{Kind: build.Fail, Task: "s0t0", Reason: "exit 2", Log: &build.Log{Bytes: 56_700, Lines: 1234}})
	return s.do(build.Move{Kind: build.Notice, Reason: "report: 502\nBad Gateway"})
}

func TestPageOfABuild(t *testing.T) {
	var out bytes.Buffer
	if err := (Page{Out: &out, Now: noon}).Build(failedStory(t)); err != nil {
		t.Fatal(err)
	}
	want := `build    k3f9a2-12  failed, unit: exit 2 0/2
pipeline default
for      push refs/heads/main 2fd4e1c
by       alice
commit   2fd4e1c67a2d28fced849ee1bb76e7391b93eb12
created  2026-11-22 12:00:00Z
took     9.0s

test  failed
  s0t0  unit  failed, exit 2, 4.0s, on b1, attempt 2
      attempt 1 on b1 ended 2026-11-22 12:00:03Z: lost builder
      setup    succeeded, 1.0s
      vet      succeeded, 1.0s
      go test  failed, exit 2, 1.0s
      log: 1234 lines, 56.7 kB: velocity logs k3f9a2-12 unit

deploy  never ran
  s1t0  deploy  waiting, never ran

note: report: 502 …
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("page differs (-want +got):\n%s", diff)
	}
}

func TestTableOfBuilds(t *testing.T) {
	running := newStory(t, build.ID{Store: "k3f9a2", Number: 3}, build.StagePlan{Name: "s", Tasks: []build.TaskPlan{task("s0t0", "a", "x")}})
	var out bytes.Buffer
	page := Page{Out: &out, Now: noon.Add(90e9)}
	if err := page.Builds([]*build.Build{failedStory(t), running.do(begin("s0t0")...)}); err != nil {
		t.Fatal(err)
	}
	want := `BUILD      STATE     NAME     EVENT      COMMIT   TASKS  TIME   STARTED               REASON
k3f9a2-12  failed    default  push main  2fd4e1c  0/2    9.0s   2026-11-22 12:00:00Z  unit: exit 2
k3f9a2-3   building  default  push main  2fd4e1c  0/1    1m30s  2026-11-22 12:00:00Z
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("table differs (-want +got):\n%s", diff)
	}
}

func TestColoursDoNotMoveColumns(t *testing.T) {
	var bare, coloured bytes.Buffer
	builds := []*build.Build{failedStory(t)}
	if err := (Page{Out: &bare, Now: noon}).Builds(builds); err != nil {
		t.Fatal(err)
	}
	if err := (Page{Out: &coloured, Now: noon, Colour: true}).Builds(builds); err != nil {
		t.Fatal(err)
	}
	var stripped bytes.Buffer
	for line := range bytes.Lines(coloured.Bytes()) {
		line = appendClean(nil, bytes.TrimSuffix(line, []byte("\n")), false)
		stripped.Write(append(bytes.TrimRight(line, " "), '\n'))
	}
	if diff := cmp.Diff(bare.String(), stripped.String()); diff != "" || bytes.Equal(bare.Bytes(), coloured.Bytes()) {
		t.Errorf("coloured table differs in more than colours (-bare +stripped):\n%s", diff)
	}
}
