package page

import (
	"fmt"
	"time"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// shopBuild is a build as people have them: three stages of eight tasks, one of
// which failed at first, one that may fail, one that was reused, one that was not
// needed, and some whose turn is still to come.
func shopBuild() *build.Build {
	step := func(name string, state build.State, reason string, from, to float64) build.Step {
		s := build.Step{Type: plan.StepRun, Name: name, State: state, Reason: reason}
		if from > 0 {
			s.Started = after(from)
		}
		if to > 0 {
			s.Finished = after(to)
		}
		return s
	}
	setup := func(from, to float64) build.Step {
		s := step("setup", build.Succeeded, "", from, to)
		s.Type = plan.StepSetup
		return s
	}
	return &build.Build{
		Request: build.Request{
			ID: build.ID{Store: "k3f9a2", Number: 1284}, Repository: "harbour/shop", Kind: plan.OfPipeline, Name: "default", Plan: "digest",
			Author: "Ada Lovelace <ada@harbour.example>", Subject: "Charge the card once, even when the network asks twice",
			Trigger: plan.Trigger{Event: plan.EventPullRequest, Ref: "refs/pull/218/head", Commit: "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12", Actor: "ada", Received: noon},
		},
		Seq: 41, Created: noon, Started: after(1.2), Notices: []string{"plugin slack: the channel #builds is archived; the message was not sent"},
		Stages: []build.Stage{
			{Name: "check", Tasks: []build.Task{
				{
					Key: "s0t0", Name: "unit tests", State: build.Succeeded, Attempt: 2, Builder: "oak", Ready: after(34), Started: after(36), Finished: after(92), Rules: build.Rules{Retry: plan.Retry{Times: 1}},
					Steps:   []build.Step{setup(36, 38), step("go test ./...", build.Succeeded, "", 38, 92)},
					Retried: []build.Retried{{Attempt: 1, Builder: "elm", Reason: "exit 1, retry 1/1", Started: after(2), Ended: after(34)}},
					Tests:   build.Tests{Passed: 1412, Skipped: 9, Flaky: 1},
					Findings: []build.Finding{
						{Kind: build.FromTest, Name: "TestCheckout/two_tabs", File: "checkout/basket_test.go", Line: 88, Level: build.LevelWarning, Message: "context deadline exceeded while waiting for the second tab", Flaky: true},
					},
				},
				{
					Key: "s0t1", Name: "browser tests", State: build.Failed, Reason: "exit 1", Attempt: 1, Builder: "elm", Rules: build.Rules{MayFail: true}, Ready: after(1), Started: after(35), Finished: after(118),
					Steps: []build.Step{setup(35, 37), step("npm ci", build.Succeeded, "", 37, 61), step("npx playwright test", build.Failed, "exit 1", 61, 118), step("upload traces", build.Waiting, "", 0, 0)},
					Tests: build.Tests{Passed: 208, Failed: 2, Skipped: 3},
					Findings: []build.Finding{
						{Kind: build.FromTest, Name: "checkout › pays with a saved card", File: "e2e/checkout.spec.ts", Line: 41, Column: 5, Level: build.LevelError, Message: "Error: expect(locator).toHaveText(expected)\n\nExpected: \"Paid\"\nReceived: \"Paying…\"\n\n  at e2e/checkout.spec.ts:47:38"},
						{Kind: build.FromTest, Name: "checkout › shows the receipt", File: "e2e/checkout.spec.ts", Line: 63, Column: 5, Level: build.LevelError, Message: "Test timeout of 30000ms exceeded."},
						{Kind: build.FromCompiler, File: "e2e/pages/basket.ts", Line: 12, Column: 9, Level: build.LevelWarning, Message: "'total' is declared but its value is never read."},
					},
				},
				{
					Key: "s0t2", Name: "lint", State: build.Succeeded, Attempt: 1, Builder: "oak", Ready: after(1), Started: after(1.5), Finished: after(19),
					Steps: []build.Step{setup(1.5, 3), step("golangci-lint run", build.Succeeded, "", 3, 19)},
				},
				{Key: "s0t3", Name: "docs", State: build.Succeeded, Reason: build.ReasonReused, Reused: build.Origin{Build: build.ID{Store: "k3f9a2", Number: 1279}, Task: "s0t3"}, Ready: after(1), Finished: after(1)},
			}},
			{Name: "package", Tasks: []build.Task{
				{
					Key: "s1t0", Name: "image (amd64)", State: build.Building, Attempt: 2, Builder: "oak", Ready: after(118), Started: after(129),
					Steps: []build.Step{setup(129, 131), step("docker build --platform linux/amd64 --tag registry.harbour.example/shop:2fd4e1c .", build.Building, "", 131, 0), step("push", build.Waiting, "", 0, 0)},
					Lost:  []build.Lost{{Attempt: 1, Builder: "ash", Reason: "lost builder", Ended: after(127)}},
				},
				{Key: "s1t1", Name: "image (arm64)", State: build.Ready, Ready: after(118)},
				{
					Key: "s1t2", Name: "bundle", State: build.Succeeded, Attempt: 1, Builder: "elm", Ready: after(118), Started: after(118.4), Finished: after(141),
					Steps:     []build.Step{setup(118.4, 119), step("npm run bundle", build.Succeeded, "", 119, 141)},
					Artifacts: []build.Artifact{{Name: "dist/shop.js", Size: 412_334}, {Name: "dist/shop.css", Size: 38_120}, {Name: "dist/report.html", Size: 1_204_881}},
				},
			}},
			{Name: "deploy", Tasks: []build.Task{
				{Key: "s2t0", Name: "staging", State: build.Waiting, Steps: []build.Step{{Type: plan.StepSetup, Name: "setup", State: build.Waiting}, step("deploy", build.Waiting, "", 0, 0)}},
			}},
		},
	}
}

// shopAt is when the shop is looked at.
var shopAt = after(163)

func shopView() Build {
	return Build{
		Repository: "harbour/shop", Build: shopBuild(), Now: shopAt,
		Why: []api.Reason{
			{Task: "s1t1", Name: "image (arm64)", State: "ready", Why: "no builder has the label arch=arm64; one that had it, yew, was last seen 3 hours ago"},
			{Task: "s2t0", Name: "staging", State: "waiting", Why: "the stage package"},
		},
		Artifacts: []api.Artifacts{{Task: "s1t2", Name: "bundle", Packed: 301_998, Files: []api.Artifact{{Name: "dist/shop.js", Size: 412_334}, {Name: "dist/shop.css", Size: 38_120}, {Name: "dist/report.html", Size: 1_204_881}}}},
	}
}

// shopOver is the same build when it has failed.
func shopOver() Build {
	v := shopView()
	b := v.Build
	b.Stages[1].Tasks[0].State, b.Stages[1].Tasks[0].Reason, b.Stages[1].Tasks[0].Finished = build.Failed, "exit 1", after(171)
	b.Stages[1].Tasks[0].Steps[1].State, b.Stages[1].Tasks[0].Steps[1].Reason, b.Stages[1].Tasks[0].Steps[1].Finished = build.Failed, "exit 1", after(171)
	b.Stages[1].Tasks[1].State, b.Stages[1].Tasks[1].Reason, b.Stages[1].Tasks[1].Finished = build.Failed, "canceled: image (amd64) failed", after(171)
	b.Finished, v.Why = after(171), nil
	return v
}

// shopHeld is a build of a stranger's code, which waits for somebody's approval.
func shopHeld() Build {
	b := shopBuild()
	b.ID.Number, b.Held, b.Started, b.Notices = 1285, true, time.Time{}, nil
	b.Author, b.Subject, b.Trigger.Actor = "Grace <grace@fork.example>", "Add a dark theme to the receipt", "grace"
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			t := &b.Stages[i].Tasks[j]
			for k := range t.Steps {
				t.Steps[k] = build.Step{Type: t.Steps[k].Type, Name: t.Steps[k].Name, State: build.Waiting}
			}
			b.Stages[i].Tasks[j] = build.Task{Key: t.Key, Name: t.Name, State: build.Waiting, Steps: t.Steps}
		}
	}
	return Build{Repository: "harbour/shop", Build: b, Now: shopAt}
}

// shopList are the newest builds of the shop.
func shopList() []*build.Build {
	held, over := shopHeld().Build, shopOver().Build
	over.ID.Number, over.Subject, over.Author, over.Created, over.Started, over.Finished = 1281, "Round prices half to even", "Alan <alan@harbour.example>", after(-5000), after(-4998), after(-4827)
	over.Trigger.Event, over.Trigger.Ref = plan.EventPush, "refs/heads/main"
	all := []*build.Build{held, shopBuild(), over}
	for i, subject := range []string{"Bump the base image", "Nightly", "Translate the basket into Welsh"} {
		b := shopBuild()
		b.ID.Number, b.Subject, b.Author = int64(1280-i), subject, "Barbara Liskov <barbara@harbour.example>"
		b.Trigger.Event, b.Trigger.Ref = plan.EventPush, "refs/heads/main"
		b.Created, b.Started, b.Finished = after(-9000*float64(i+1)), after(-9000*float64(i+1)+1), after(-9000*float64(i+1)+184)
		for i := range b.Stages {
			for j := range b.Stages[i].Tasks {
				b.Stages[i].Tasks[j].State, b.Stages[i].Tasks[j].Reason = build.Succeeded, ""
			}
		}
		all = append(all, b)
	}
	return all
}

// shopLog is a log with colours, of several steps.
func shopLog() Log {
	b := shopBuild()
	t, _ := b.Task("s0t1")
	text := "Cloning harbour/shop at 2fd4e1c\nHEAD is now at 2fd4e1c Charge the card once, even when the network asks twice\n"
	t.Steps[1].From = int64(len(text))
	text += "\x1b[1mnpm ci\x1b[0m\n\nadded 412 packages, and audited 413 packages in 21s\n\nfound \x1b[32m0\x1b[0m vulnerabilities\n"
	t.Steps[2].From = int64(len(text))
	text += "\nRunning \x1b[1m213\x1b[0m tests using \x1b[1m4\x1b[0m workers\n\n"
	for i, name := range []string{"basket › adds one", "basket › adds the same one twice", "basket › forgets after a week", "login › asks again after an hour", "checkout › needs an address"} {
		text += fmt.Sprintf("  \x1b[32m✓\x1b[39m  %d %s \x1b[2m(%d.%ds)\x1b[22m\n", i+1, name, i%3, 3+i)
	}
	text += "  \x1b[31m✘\x1b[39m  6 checkout › pays with a saved card \x1b[2m(12.1s)\x1b[22m\n  \x1b[33m-\x1b[39m  7 checkout › pays by invoice\n\n" +
		"  1) \x1b[31mcheckout › pays with a saved card\x1b[39m ────────────────────────\n\n    Error: \x1b[2mexpect(\x1b[22m\x1b[31mlocator\x1b[39m\x1b[2m).\x1b[22mtoHaveText\x1b[2m(\x1b[22m\x1b[32mexpected\x1b[39m\x1b[2m)\x1b[22m\n\n" +
		"    Expected: \x1b[32m\"Paid\"\x1b[39m\n    Received: \x1b[31m\"Paying…\"\x1b[39m\n\n      45 |   await page.getByRole('button', { name: 'Pay' }).click();\n      46 |\n\x1b[31m    > 47 |\x1b[39m   await expect(page.getByTestId('state')).toHaveText('Paid');\n         |                                           \x1b[31m^\x1b[39m\n\n  \x1b[41m 2 failed \x1b[49m\n  \x1b[32m208 passed\x1b[39m\x1b[2m (57.0s)\x1b[22m\n"
	lines := (&Cutter{Place: Place{Number: 1}}).Take([]byte(text), true)
	for i := range lines {
		lines[i].Since = time.Duration(i) * 1733 * time.Millisecond
	}
	return Log{Repository: "harbour/shop", Build: b, Task: t, Attempt: 1, Lines: lines, Times: true, HasTimes: true, Toggle: "?line=1"}
}

// shop are all pages of a server as people see them.
func shop() map[string]View {
	all := examples()
	b := shopBuild()
	image, _ := b.Task("s1t0")
	arm, _ := b.Task("s1t1")
	all["home"] = Home{Repositories: []Repository{{Name: "harbour/shop", Newest: shopList()}, {Name: "harbour/warehouse", Newest: shopList()[3:]}, {Name: "harbour/payments", Newest: shopList()[2:]}, {Name: "harbour/new"}}}
	all["builds"] = Builds{Repository: "harbour/shop", List: shopList(), Older: "/builds?repository=harbour%2Fshop&before=x"}
	all["build"], all["build_over"], all["build_held"] = shopView(), shopOver(), shopHeld()
	all["log"] = shopLog()
	all["queue"] = Queue{Waiting: []Waiting{{Running: Running{"harbour/shop", b, arm}, Since: after(118), Why: shopView().Why[0].Why}}, Running: []Running{{"harbour/shop", b, image}}}
	return all
}
