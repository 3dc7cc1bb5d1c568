package ledgertest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// reuse asks for successes under keys, before and after builds that count and
// builds that do not.
func reuse(t *testing.T, open Make) {
	folded := newSignal()
	l, c := open(t, folded.give)
	finished := func(event plan.Event, change func(*build.TaskPlan), verdict build.Kind) build.ID {
		t.Helper()
		b := keyed(t, l, c, event, change)
		if moves := endWith(t, b, verdict); len(moves) > 0 {
			Record(t, l, build.Change{Build: b.Clone(), Moves: moves})
		}
		<-folded
		return b.ID
	}
	want := func(what string, want map[string]build.Success) {
		t.Helper()
		got, err := l.Reusable(t.Context(), []string{"k", "other"})
		if err != nil {
			t.Fatalf("Reusable: %v", err)
		}
		if len(got) != len(want) || len(want) > 0 && !cmp.Equal(got, want) {
			t.Errorf("Reusable after %s (-want +got):\n%s", what, cmp.Diff(want, got))
		}
	}
	none := map[string]build.Success{}
	want("nothing", none)
	finished(plan.EventLocal, nil, build.Succeed)
	want("a local success", none)
	finished(plan.EventPullRequest, nil, build.Succeed)
	want("a success of a pull request", none)
	finished(plan.EventPush, nil, build.Fail)
	want("a failure", none)
	finished(plan.EventPush, func(p *build.TaskPlan) { p.Skip = true }, "")
	want("a skipped task", none)

	left := build.Success{Tests: build.Tests{Passed: 2}, Artifacts: []build.Artifact{{Name: "bin/x", SHA256: sum}}}
	left.Origin = build.Origin{Build: finished(plan.EventPush, nil, build.Succeed), Task: "s0t0"}
	want("a success", map[string]build.Success{"k": left})
	// What stands in for a success is that success.
	finished(plan.EventPush, func(p *build.TaskPlan) {
		p.Reused, p.Tests, p.Artifacts = left.Origin, left.Tests, left.Artifacts
	}, "")
	want("a reused task", map[string]build.Success{"k": left})

	live := keyed(t, l, c, plan.EventSchedule, nil)
	newer := left
	newer.Origin = build.Origin{Build: finished(plan.EventManual, nil, build.Succeed), Task: "s0t0"}
	want("a newer success", map[string]build.Success{"k": newer})
	Record(t, l, build.Change{Build: live, Moves: endWith(t, live, build.Succeed)})
	<-folded
	want("the end of an older build", map[string]build.Success{"k": newer})
}

const sum = "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"

// keyed records an open build of one task with the key k.
func keyed(t *testing.T, l Ledger, c plan.Commit, event plan.Event, change func(*build.TaskPlan)) *build.Build {
	t.Helper()
	id, err := l.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	req := Request(id, c, 1)
	req.Trigger.Event = event
	task := &req.Stages[0].Tasks[0]
	task.ReuseKey = "k"
	if change != nil {
		change(task)
	}
	b, moves := build.New(req, start)
	moves = append(moves, b.Open(start)...)
	Record(t, l, build.Change{Build: b.Clone(), Moves: moves})
	return b
}

// endWith makes the moves that end the only task of b, if it has not ended.
func endWith(t *testing.T, b *build.Build, verdict build.Kind) []build.Move {
	t.Helper()
	var made []build.Move
	for _, m := range []build.Move{
		{Kind: build.Assign}, {Kind: build.Begin},
		{Kind: verdict, Tests: build.Tests{Passed: 2}, Artifacts: []build.Artifact{{Name: "bin/x", SHA256: sum}}},
	} {
		m.Task, m.At = "s0t0", start
		moves, err := b.Do(m)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, moves...)
	}
	return made
}
