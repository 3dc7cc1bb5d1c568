package page

import (
	"time"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func after(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

// exampleBuild has one of everything that a page tells of a build.
func exampleBuild() *build.Build {
	steps := func(from, to time.Time, ends build.State) []build.Step {
		return []build.Step{
			{Type: plan.StepSetup, Name: "setup", State: build.Succeeded, Started: from, Finished: from},
			{Type: plan.StepRun, Name: "make", State: ends, Reason: "exit 2", Exit: 2, Started: from, Finished: to, To: 40},
		}
	}
	return &build.Build{
		Request: build.Request{
			ID: build.ID{Store: "k3f9a2", Number: 7}, Repository: "shop", Kind: plan.OfPipeline, Name: "default", Plan: "digest",
			Author: "Ada <ada@example.com>", Subject: "Sell things",
			Trigger: plan.Trigger{
				Event: plan.EventPush, Ref: "refs/heads/main", Commit: "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
				Actor: "ada", Parent: "k3f9a2-6", Received: noon,
			},
		},
		Seq: 12, Created: noon, Started: after(1), Notices: []string{"the report was lost"},
		Approval: &build.Approval{By: "boss", At: after(0.5)},
		Stages: []build.Stage{
			{Name: "test", Tasks: []build.Task{
				{
					Key: "s0t0", Name: "unit", State: build.Failed, Reason: "exit 2", Attempt: 3, Builder: "b1",
					Rules: build.Rules{MayFail: true}, Ready: after(4), Started: after(5), Finished: after(9), Steps: steps(after(5), after(9), build.Failed),
					Log:     build.Log{Bytes: 40, Lines: 2},
					Lost:    []build.Lost{{Attempt: 1, Builder: "b0", Reason: "lost builder", Ended: after(2)}},
					Retried: []build.Retried{{Attempt: 2, Builder: "b1", Reason: "exit 2, retry 1/1", Started: after(2), Ended: after(4)}},
					Tests:   build.Tests{Passed: 3, Failed: 1, Skipped: 1, Flaky: 1},
					Findings: []build.Finding{
						{Kind: build.FromTest, Name: "TestSell", File: "sell_test.go", Line: 7, Column: 2, Level: build.LevelError, Message: "got 1\nwant 2", Flaky: true},
						{Kind: build.FromCompiler, Level: build.LevelWarning, Message: "unused"},
					},
				},
				{
					Key: "s0t1", Name: "lint", State: build.Succeeded, Attempt: 1, Builder: "b2", Ready: after(1), Started: after(1.5), Finished: after(2),
					Steps: steps(after(1.5), after(2), build.Succeeded), Artifacts: []build.Artifact{{Name: "out/report.txt", Size: 1234}},
				},
				{Key: "s0t2", Name: "docs", State: build.Succeeded, Reason: build.ReasonReused, Reused: build.Origin{Build: build.ID{Store: "k3f9a2", Number: 3}, Task: "s0t2"}, Ready: after(1), Finished: after(1)},
			}},
			{Name: "pack", Tasks: []build.Task{
				{Key: "s1t0", Name: "image", State: build.Ready, Ready: after(9)},
				{Key: "s1t1", Name: "notes", State: build.Building, Attempt: 1, Builder: "b1", Ready: after(9), Started: after(9.5), Steps: steps(after(9.5), time.Time{}, build.Building)},
			}},
		},
	}
}

// examples are views by the name of their golden page.
func examples() map[string]View {
	b := exampleBuild()
	held := exampleBuild()
	held.ID.Number, held.Subject = 8, ""
	unit, _ := b.Task("s0t0")
	lines := (&Cutter{Place: Place{Number: 1}}).Take([]byte("\x1b[31mred\x1b[0m and plain\nbidi \u202e and <b>\n"), true)
	where := Running{Repository: "shop", Build: b, Task: unit}
	waits := exampleBuild()
	waits.ID.Number, waits.Held, waits.Approval, waits.Started = 9, true, nil, time.Time{}
	over := exampleBuild()
	over.Stages = over.Stages[:1]
	over.Finished, over.Stages[0].Tasks[0].MayFail = after(9), false
	query := api.Query{Ref: "main", Author: "ada", Commit: "2fd4e1c", State: "failed"}
	return map[string]View{
		"home":   Home{Repositories: []Repository{{Name: "shop", Newest: []*build.Build{b, held}}, {Name: "group/new"}}},
		"builds": Builds{Repository: "shop", Query: query, List: []*build.Build{b, held}, Starts: "/start?repository=shop", Older: BuildsPath("shop", query), Problem: "one cannot be read"},
		"build": Build{
			Repository: "shop", Build: b, Now: after(12),
			Why:       []api.Reason{{Task: "s1t0", Name: "image", State: "ready", Why: "no builder is connected"}},
			Artifacts: []api.Artifacts{{Task: "s0t1", Name: "lint", Packed: 999, Files: []api.Artifact{{Name: "out/report.txt", Size: 1234}}}},
		},
		"plan": Plan{Repository: "shop", Build: b, Plan: &plan.Plan{Kind: plan.OfPipeline, Name: "default", Description: "builds", Event: plan.EventPush, Stages: []plan.Stage{
			{Name: "test", Tasks: []plan.Task{{Key: "s0t0", Name: "unit", Steps: []plan.Step{{Type: plan.StepRun, Name: "make", Run: &plan.Run{Image: "golang", Script: "make"}}}}}},
		}}},
		"events": Events{Repository: "shop", Build: b, Older: "?from=1", Newer: "?from=3", Moves: []build.Move{
			{Seq: 2, At: after(1), Kind: build.Assign, Task: "s0t0", Attempt: 2, Builder: "b1", To: build.Scheduled, Reason: "because"},
			{Seq: 3, At: after(2), Kind: build.StepMoved, Task: "s0t0", Attempt: 1, Step: &build.Step{Type: plan.StepRun, Name: "make", State: build.Failed, Reason: "exit 2"}},
			{Seq: 4, At: after(3), Kind: build.Approve, Approval: &build.Approval{By: "boss"}},
		}},
		"log": Log{
			Repository: "shop", Build: b, Task: unit, Attempt: 3, Lines: lines, Follow: true, From: Place{Offset: 40, Number: 3}, Times: true, HasTimes: true,
			First: "?line=1", Previous: "?line=1", Next: "?line=3", Last: "?end=1", Toggle: "?line=1",
			Search: &Search{Text: "red", Found: []Match{{Line: lines[0], Query: "?line=1"}}, Later: "?attempt=2&q=make&behind=10-3"},
		},
		"log_none": Log{Repository: "shop", Build: b, Task: unit, Attempt: 1, None: "There is no such log here."},
		"builders": Builders{List: []Builder{
			{Builder: api.Builder{Name: "b1", Registered: noon, Labels: map[string]string{"os": "linux"}, Executors: []string{"docker"}, Untrusted: true, Connection: &api.Connection{Since: noon, Heard: after(11), Capacity: 4, Busy: 1, Reason: "disk is full"}}, Runs: []Running{where}},
			{Builder: api.Builder{Name: "b2", Revoked: true, Registered: noon}},
			{Builder: api.Builder{Name: "b3", Drained: true, Registered: noon}},
		}, Said: "b3 finishes what it has, and takes nothing new."},
		"build_held": Build{Repository: "shop", Build: waits, Now: after(12), Once: "p0.ABC"},
		"build_over": Build{Repository: "shop", Build: over, Now: after(12), Once: "p0.ABC", Said: "You asked for this build."},
		"start": Start{
			Repository: "shop", Identity: "github-7", Once: "p0.ABC", Ref: "main", NoReuse: true, Problem: "no value for the parameters version",
			Offer: Offer{Name: "unit", Choices: []Choice{{Kind: plan.OfPipeline, Name: "default", Description: "all"}, {Kind: plan.OfBlueprint, Name: "unit"}}, Fields: []Field{
				{Name: "version", Description: "What it is called from now on", Required: true, Problem: "needs a value"},
				{Name: "level", Description: "How much is tested", Defaults: []string{"quick"}, Options: []string{"quick", "full", ""}, Value: "full"},
				{Name: "os", All: true, Required: true, Options: []string{"linux", "darwin"}, Value: "plan9", Problem: "has that value in no combination of the matrix of unit"},
				{Name: "channel", Defaults: []string{"${git.branch.clean}", "stable", ""}, Value: "beta"},
				{Name: "note"},
			}},
		},
		"start_plain":   Start{Repository: "shop", Identity: "shop", Once: "p0.ABC", Offer: Offer{Name: "unit", Choices: []Choice{{Kind: plan.OfBlueprint, Name: "unit"}}}},
		"start_free":    Start{Repository: "shop", Identity: "shop", Once: "p0.ABC", Ref: "nowhere", Problem: "find nowhere: no such ref"},
		"asked":         Asked{Repository: "shop", Note: "skipped"},
		"asked_pending": Asked{Repository: "shop", Pending: true, Here: "/asked/1?repository=shop"},
		"deliveries": Deliveries{State: DeliveryDone, Older: "?from=50", Said: "The delivery github-1 is tried again.", List: []Delivery{
			{Key: "github-1", Forge: "github", Event: "push", Received: noon, State: DeliveryQuarantined, Note: "given up: 3 tries were begun", Tries: 3, Size: 7000},
			{Key: "github-2", Forge: "github", Event: "check_run", Received: noon, State: DeliveryDone, Action: "rerun", Note: "build is not over", Tries: 1, Size: 900},
			{Received: noon, State: DeliveryRefused, Note: "bad signature", Source: "203.0.113.7", Count: 12},
			{Key: "gitlab-3", Forge: "gitlab", Event: "Push Hook", Received: noon, State: DeliveryWaiting, Note: "the forge does not answer", Size: 10},
		}},
		"deliveries_none": Deliveries{None: true},
		"queue":           Queue{Waiting: []Waiting{{Running: where, Since: noon, Why: "no builder is connected"}}, Running: []Running{where}},
		"login": Login{Problem: "This token is unknown.", Next: "/builds?repository=shop", Ways: []LoginWay{
			{Name: "GitHub", Forge: "github"}, {Name: "GitLab", Forge: "gitlab"},
		}},
		"problem": Problem{Status: "Not Found", Message: "there is no such build", Back: "/builds/k3f9a2-7"},
	}
}

var exampleFrame = Frame{User: "ann", Admin: true, Leave: true, Now: after(12)}
