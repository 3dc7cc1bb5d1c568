package term

import (
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// A story makes a real build move, a second at a time.
type story struct {
	t  *testing.T
	b  *build.Build
	at time.Time
}

func newStory(t *testing.T, id build.ID, stages ...build.StagePlan) *story {
	t.Helper()
	commit := plan.Commit("2fd4e1c67a2d28fced849ee1bb76e7391b93eb12")
	b, _ := build.New(build.Request{
		ID: id, Kind: plan.OfPipeline, Name: "default", Config: commit,
		Trigger: plan.Trigger{Event: plan.EventPush, Ref: "refs/heads/main", Commit: commit, Actor: "alice"},
		Stages:  stages,
	}, noon)
	b.Open(noon)
	return &story{t: t, b: b, at: noon}
}

func task(key, name string, steps ...string) build.TaskPlan {
	plans := []build.StepPlan{{Type: plan.StepSetup, Name: "setup"}}
	for _, s := range steps {
		plans = append(plans, build.StepPlan{Type: plan.StepRun, Name: s})
	}
	return build.TaskPlan{Key: key, Name: name, Steps: plans}
}

// do makes moves, one second after another, and returns a snapshot.
func (s *story) do(moves ...build.Move) *build.Build {
	s.t.Helper()
	for _, m := range moves {
		s.at = s.at.Add(time.Second)
		m.At = s.at
		if _, err := s.b.Do(m); err != nil {
			s.t.Fatal(err)
		}
	}
	return s.b.Clone()
}

func (s *story) now() time.Time { return s.at }

func begin(task string) []build.Move {
	return []build.Move{{Kind: build.Assign, Task: task, Builder: "b1"}, {Kind: build.Begin, Task: task}}
}

// stepMove says that a step of a task now stands so.
func stepMove(task string, index int, state build.State, at time.Time) build.Move {
	step := build.Step{State: state, Started: at}
	if state.Final() {
		step.Finished = at.Add(time.Second)
	}
	return build.Move{Kind: build.StepMoved, Task: task, Index: index, Step: &step}
}

var recorded = build.ID{Store: "k3f9a2", Number: 12}
