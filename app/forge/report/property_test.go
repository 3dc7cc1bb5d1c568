package report

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// drawBuild is a build before anything happens to it, with hostile names.
func drawBuild(t *rapid.T) *build.Build {
	req := request(12)
	req.Name, req.Plan = hostile(t, "pipeline"), "p"+hostile(t, "plan")
	req.Held = rapid.IntRange(0, 3).Draw(t, "held") == 0
	req.Trigger.Ref = "refs/heads/" + hostile(t, "ref")
	for i, n := range rapid.SliceOfN(rapid.IntRange(1, 3), 1, 3).Draw(t, "stages") {
		s := build.StagePlan{Name: hostile(t, "stage")}
		for j := range n {
			task := build.TaskPlan{Key: plan.Key(i, j), Name: hostile(t, "task"), Steps: []build.StepPlan{{Name: "setup"}, {Name: hostile(t, "step")}}}
			task.MayFail, task.Skip = rapid.Bool().Draw(t, "may fail"), rapid.IntRange(0, 5).Draw(t, "skip") == 0
			task.Retry.Times, task.Effects = rapid.IntRange(0, 1).Draw(t, "retry"), rapid.IntRange(0, 5).Draw(t, "effects") == 0
			s.Tasks = append(s.Tasks, task)
		}
		req.Stages = append(req.Stages, s)
	}
	b, _ := build.New(req, began)
	return b
}

// drawMove asks a build for something, which may be impossible.
func drawMove(t *rapid.T, b *build.Build, at time.Time) {
	kinds := append(slices.Repeat([]build.Kind{build.Assign, build.Begin, build.Succeed, build.Fail, build.StepMoved}, 4),
		build.Interrupt, build.Cancel, build.Canceling, build.Refuse, build.Notice)
	all := tasks(b, func(*build.Task) bool { return true })
	m := build.Move{
		Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Task: rapid.SampledFrom(all).Draw(t, "of").Key,
		At: at, Builder: "b" + hostile(t, "builder"), Reason: rapid.SampledFrom([]string{"exit 1", "timed out", "canceled", hostile(t, "reason")}).Draw(t, "because"),
	}
	switch m.Kind {
	case build.StepMoved:
		state := rapid.SampledFrom([]build.State{build.Building, build.Succeeded, build.Failed}).Draw(t, "step state")
		m.Index, m.Step = 1, &build.Step{State: state, Reason: m.Reason, Started: at, From: 3, To: rapid.Int64Range(0, 40).Draw(t, "to")}
	case build.Fail, build.Succeed:
		m.Log = &build.Log{Bytes: 60}
		m.Findings = []build.Finding{{
			Kind: build.FromTest, Name: hostile(t, "test"), File: rapid.SampledFrom([]string{"a.go", "/etc/passwd", "../x", hostile(t, "file")}).Draw(t, "file"),
			Line: rapid.IntRange(0, 9).Draw(t, "line"), Column: rapid.IntRange(0, 9).Draw(t, "column"), Level: build.LevelError, Message: hostile(t, "message"),
		}}
	}
	_, _ = b.Do(m) // many are not possible
}

// ours is the markup that we make outside of code spans.
var ours = regexp.MustCompile(`(?m)\[The (whole log|build's page)\]\(<https://ci\.example/builds/k3f9a2-12(#s\dt\d)?>\)|^#### `)

// valid finds what is wrong with any check.
func valid(t *rapid.T, c forge.Check) {
	text, cells := outside(c.Summary + "\n" + c.Text)
	shown := ours.ReplaceAllString(text, "")
	switch {
	case c.Name == "" || c.External == "" || c.Commit == "" || c.Title == "" || c.Summary == "":
		t.Fatalf("something is missing in %+v", c)
	case (c.State == forge.Final) != (c.Conclusion != ""), (c.State == forge.Final) != !c.Ended.IsZero(), (c.State == forge.Queued) != c.Started.IsZero():
		t.Fatalf("state %d, conclusion %q, started %s, ended %s", c.State, c.Conclusion, c.Started, c.Ended)
	case c.Ended.Before(c.Started) && c.State == forge.Final:
		t.Fatalf("it ended %s and began %s", c.Ended, c.Started)
	case len(c.Name) > maxName || len(c.Title) > maxTitle || len(c.Summary) > MaxBytes || len(c.Text) > MaxBytes || len(c.Actions) > 3:
		t.Fatalf("name %d, title %d, summary %d, text %d, actions %d", len(c.Name), len(c.Title), len(c.Summary), len(c.Text), len(c.Actions))
	case unseen(c.Name + c.Title + c.Summary + c.Text):
		t.Fatalf("something cannot be seen in %+v", c)
	case strings.ContainsAny(shown, "Ж<@#[`"):
		t.Fatalf("markup of others: %q of\n%s", text, c.Summary)
	case slices.ContainsFunc(cells, func(n int) bool { return n != 6 }):
		t.Fatalf("cells %v in\n%s", cells, c.Summary)
	}
	for _, a := range c.Annotations {
		if a.Path == "" || a.Path[0] == '/' || strings.HasPrefix(a.Path, "..") || a.Line < 1 || a.Message == "" || a.Title == "" || unseen(a.Path+a.Title+a.Message) {
			t.Fatalf("annotation %+v", a)
		}
	}
	for _, a := range c.Actions {
		if len(a.Label) > 20 || len(a.Description) > 40 || len(a.Identifier) > 20 {
			t.Fatalf("action %+v", a)
		}
	}
}

// Whatever happens to a build, its checks are ones that a forge takes, their states
// only go up, and their names stay.
func TestAnyBuildMakesValidChecks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := composer()
		c.Tail = func(build.ID, *build.Task, int64, int64) ([]byte, error) { return []byte(hostile(t, "log")), nil }
		c.Granularity = func(*plan.Plan) Granularity {
			return rapid.SampledFrom([]Granularity{OfBuild, OfTasks}).Draw(t, "checks")
		}
		b, at := drawBuild(t), began
		states, names := map[string]forge.State{}, map[string]string{}
		for step := range rapid.IntRange(1, 15).Draw(t, "moves") {
			for _, s := range c.Subjects(Shown{Repository: octo, Build: b.Clone(), Plan: &plan.Plan{}}) {
				check := c.Check(s)
				valid(t, check)
				if check.State != s.state() || check.State < states[check.External] {
					t.Fatalf("%s is %d after %d, said to be %d", check.External, check.State, states[check.External], s.state())
				}
				if name, ok := names[check.External]; ok && name != check.Name {
					t.Fatalf("%s is %q and was %q", check.External, check.Name, name)
				}
				states[check.External], names[check.External] = check.State, check.Name
				if id, task, err := ParseExternal(check.External); err != nil || id != b.ID || task != s.Task {
					t.Fatalf("ParseExternal(%q) = %v, %q, %v", check.External, id, task, err)
				}
			}
			at = at.Add(time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "passing")))
			if step == 1 {
				if b.Held {
					_, _ = b.Do(approved(b, at))
				}
				b.Open(at)
			} else if step > 1 {
				drawMove(t, b, at)
			}
		}
	})
}

// A build of the most tasks there may be, all of which failed with long texts.
func TestLimitsHold(t *testing.T) {
	var names []string
	for range plan.MaxTasks {
		names = append(names, strings.Repeat("名", 60))
	}
	s := newSite(t, request(12, names)).open()
	var findings []build.Finding
	for line := range MaxAnnotations + 1 {
		findings = append(findings, build.Finding{Level: build.LevelError, Message: strings.Repeat("x", 1000), File: "a.go", Line: line})
	}
	for _, task := range tasks(s.b, func(*build.Task) bool { return true }) {
		task.State, task.Reason, task.Attempt, task.Builder = build.Failed, strings.Repeat("Ж", 90), 1, "b1"
		task.Started, task.Finished = began, s.at.Add(time.Minute)
		task.Log.Bytes = int64(len(logText))
	}
	s.b.Stages[0].Name, s.b.Stages[0].Tasks[0].Findings = names[0], findings
	c := composer()
	check := c.Check(c.Subjects(s.shown())[0])
	if len(check.Summary) > MaxBytes || len(check.Text) > MaxBytes || len(check.Annotations) != MaxAnnotations || len(check.Title) > maxTitle {
		t.Errorf("summary %d, text %d, annotations %d, title %d", len(check.Summary), len(check.Text), len(check.Annotations), len(check.Title))
	}
	for _, row := range newGantt(s.b) {
		if columns(row) > ganttWide {
			t.Fatalf("the chart is %d columns wide: %q", columns(row), row)
		}
	}
	for _, want := range []string{"more, which the build's page has", "| stage |", "waits for a builder", "[The build's page]", "of its output"} {
		if !strings.Contains(check.Summary, want) {
			t.Errorf("the summary has no %q:\n%.3000s", want, check.Summary)
		}
	}
}

// A build that ran once, and a task that did, are never queued again.
func TestInterruptedIsStillRunning(t *testing.T) {
	s := newSite(t, request(12, []string{"unit"})).open().run("s0t0", build.Interrupt, because("lost builder"))
	for _, subject := range []Subject{{Shown: s.shown()}, {Shown: s.shown(), Task: "s0t0"}} {
		if got := composer().Check(subject); got.State != forge.Running || subject.state() != forge.Running {
			t.Errorf("%s is %d, said to be %d; want it running", got.External, got.State, subject.state())
		}
	}
}
