package report

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

var (
	began  = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	commit = plan.Commit(strings.Repeat("1a", 20))
	octo   = forge.Repository{Key: forge.Key{Kind: forge.GitHub, ID: 12}, Installation: 7, Name: "octo/a"}
)

// A site makes builds and moves them, each move a second after the last.
type site struct {
	tb testing.TB
	b  *build.Build
	at time.Time
}

// request is a build of stages of tasks, each with a step.
func request(number int64, stages ...[]string) build.Request {
	req := build.Request{
		ID: build.ID{Store: "k3f9a2", Number: number}, Repository: octo.Name, Kind: plan.OfPipeline, Name: "default",
		Plan: strings.Repeat("d", 64), Config: commit,
		Trigger: plan.Trigger{ID: "t", Event: plan.EventPush, Ref: "refs/heads/main", Commit: commit},
	}
	for i, names := range stages {
		s := build.StagePlan{Name: []string{"test", "package", "deploy"}[i%3]}
		for j, name := range names {
			s.Tasks = append(s.Tasks, build.TaskPlan{Key: plan.Key(i, j), Name: name, Steps: []build.StepPlan{
				{Type: plan.StepSetup, Name: "setup"}, {Type: plan.StepRun, Name: "go test ./..."},
			}})
		}
		req.Stages = append(req.Stages, s)
	}
	return req
}

func newSite(tb testing.TB, req build.Request) *site {
	b, _ := build.New(req, began)
	return &site{tb: tb, b: b, at: began}
}

func (s *site) open() *site {
	s.at = s.at.Add(time.Second)
	s.b.Open(s.at)
	return s
}

func (s *site) do(kind build.Kind, task string, more ...func(*build.Move)) *site {
	s.tb.Helper()
	s.at = s.at.Add(time.Second)
	m := build.Move{Kind: kind, Task: task, Builder: "b1", At: s.at}
	for _, f := range more {
		f(&m)
	}
	s.at = m.At
	if _, err := s.b.Do(m); err != nil {
		s.tb.Fatal(err)
	}
	return s
}

func because(reason string) func(*build.Move) { return func(m *build.Move) { m.Reason = reason } }

func later(d time.Duration) func(*build.Move) { return func(m *build.Move) { m.At = m.At.Add(d) } }

// approved lets a held build start.
func approved(b *build.Build, at time.Time) build.Move {
	return build.Move{Kind: build.Approve, At: at, Approval: &build.Approval{Commit: b.Trigger.Commit, Digest: b.Plan, By: "ann"}}
}

// run has a builder take a task and end it.
func (s *site) run(task string, end build.Kind, more ...func(*build.Move)) *site {
	s.tb.Helper()
	return s.do(build.Assign, task).do(build.Begin, task).do(end, task, more...)
}

// step has a step of the task's end.
func (s *site) step(task string, index int, state build.State, reason string, from, to int64) *site {
	s.tb.Helper()
	return s.do(build.StepMoved, task, func(m *build.Move) {
		m.Index = index
		m.Step = &build.Step{State: state, Reason: reason, Started: s.at.Add(-time.Second), Finished: s.at, From: from, To: to}
	})
}

func (s *site) shown() Shown {
	return Shown{Repository: octo, Build: s.b.Clone(), Plan: &plan.Plan{}}
}

// printed is a check as golden files have it.
func printed(c forge.Check) string {
	var out strings.Builder
	fmt.Fprintf(&out, "name: %s\nexternal: %s\nstate: %v %s error=%v\n", c.Name, c.External, c.State, c.Conclusion, c.Error)
	fmt.Fprintf(&out, "started: %s\nended: %s\ntitle: %s\npage: %s\n", clock(c.Started), clock(c.Ended), c.Title, c.Page)
	for _, a := range c.Annotations {
		fmt.Fprintf(&out, "annotation: %s:%d:%d %s %q %q\n", a.Path, a.Line, a.Column, a.Level, a.Title, a.Message)
	}
	for _, a := range c.Actions {
		fmt.Fprintf(&out, "action: %s %q %q\n", a.Identifier, a.Label, a.Description)
	}
	return out.String() + "\n" + c.Summary + "\n---\n" + c.Text
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.TimeOnly)
}
