package blueprint

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// decide draws a step with the condition and tells whether it is run.
func decide(t *testing.T, when string, change func(*Request)) (bool, error) {
	t.Helper()
	c, findings := mustLoad(t, files{
		".velocityci/blueprints/b.yml": "parameters: [{name: os, default: linux}, {name: my-name, default: x}]\nsteps:\n  - type: run\n    command: x\n    when: |\n      " + when + "\n",
		".velocityci/pipelines/p.yml":  "stages: [{blueprints: [b]}]",
	})
	if len(findings) > 0 {
		t.Fatalf("%s: %v", when, findings)
	}
	req := request("p", commit())
	req.Trigger.Target = "refs/heads/main"
	req.Changed = func([]string) (bool, error) { return false, nil }
	if change != nil {
		change(&req)
	}
	p, err := c.Draw(req)
	if err != nil {
		return false, err
	}
	return !p.Stages[0].Tasks[0].Steps[0].Skip, nil
}

func TestConditionsAreDecided(t *testing.T) {
	for when, want := range map[string]bool{
		`true`: true, `false`: false,
		`git.branch == "feature/X y"`:                            true,
		`git.branch.clean.startsWith("feature-")`:                true,
		`git.commit.sha.short == "2fd4e1c"`:                      true,
		`git.tag != ""`:                                          false,
		`git.describe.matches("^v[0-9]+")`:                       true,
		`build.event == "push" && build.pipeline == "p"`:         true,
		`build.branch == "feature/X" && build.tag == ""`:         true,
		`build.ref == "refs/heads/feature/X"`:                    true,
		`build.target == "main"`:                                 true,
		`build.trusted`:                                          true,
		`parameters.os in ["linux", "mac"]`:                      true,
		`parameters["my-name"] == "y"`:                           false,
		`has(parameters.os)`:                                     true,
		`["rel", "feature"].exists(p, git.branch.startsWith(p))`: true,
		`changed("src/**")`:                                      false,
		`!changed("src/**", "!**/*.md") || git.branch == ""`:     true,
	} {
		if got, err := decide(t, when, nil); err != nil || got != want {
			t.Errorf("%s = %v, %v; want %v", when, got, err, want)
		}
	}
}

// What nobody found out about a pull request is no trust in it.
func TestConditionsKnowWhoIsTrusted(t *testing.T) {
	for trust, want := range map[plan.Trust]bool{plan.TrustUnknown: false, plan.TrustFork: false, plan.TrustStranger: false, plan.TrustWriter: true} {
		got, err := decide(t, `build.trusted && build.event == "pull_request"`, func(r *Request) {
			r.Trigger.Event, r.Trigger.Trust = plan.EventPullRequest, trust
		})
		if err != nil || got != want {
			t.Errorf("from %q: %v, %v; want %v", trust, got, err, want)
		}
	}
}

// Files are compared once for each list of patterns, and only if it matters.
func TestConditionsAskWhatChanged(t *testing.T) {
	asked := [][]string{}
	with := func(answer bool, err error) func(*Request) {
		asked = [][]string{}
		return func(r *Request) {
			r.Changed = func(patterns []string) (bool, error) { asked = append(asked, patterns); return answer, err }
		}
	}
	run, err := decide(t, `changed("a") || changed("a") || changed("b", "!c")`, with(false, nil))
	if err != nil || run {
		t.Errorf("decided %v, %v", run, err)
	}
	if diff := cmp.Diff([][]string{{"a"}, {"b", "!c"}}, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if run, _ = decide(t, `git.branch == "x" && changed("a")`, with(true, nil)); run || len(asked) > 0 {
		t.Errorf("decided %v, asked %q; want nothing asked", run, asked)
	}
	gone := errors.New("the object is gone")
	if _, err := decide(t, `changed("a")`, with(true, gone)); !errors.Is(err, gone) {
		t.Errorf("Draw() = %v; want %v", err, gone)
	}
	if run, _ = decide(t, `changed("a")`, func(r *Request) { r.Changed = nil }); !run {
		t.Error("without anything to compare with, something has not changed")
	}
}

// A task whose condition is false waits for no value and has nothing to do.
func TestConditionsSkipTasks(t *testing.T) {
	c, findings := mustLoad(t, files{
		".velocityci/blueprints/b.yml": "parameters: [{name: os, default: linux}, {name: key, secret: true}, {name: want}]\nsteps: [{type: run, command: 'x ${want}', secrets: [key]}]",
		".velocityci/pipelines/p.yml": `stages: [{blueprints: [{name: b, when: 'parameters.os == "mac"'}]}, {blueprints: [{name: b, when: 'parameters.want == "x"'}]}]
`,
	})
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	req := request("p", commit())
	var missing *MissingError
	if _, err := c.Draw(req); !errors.As(err, &missing) || len(missing.Parameters) != 2 {
		t.Fatalf("Draw() = %v; the second task's values are missing, one of them for its condition", err)
	}
	req.Given = map[string]string{"want": "y"}
	p := mustDraw(t, c, req)
	for i, s := range p.Stages {
		want := plan.Task{Key: plan.Key(i, 0), Name: []string{"b", "b#2"}[i], Blueprint: "b", Skip: true, Steps: []plan.Step{}}
		if diff := cmp.Diff([]plan.Task{want}, s.Tasks); diff != "" {
			t.Errorf("tasks (-want +got):\n%s", diff)
		}
	}
}

// A step around included steps decides for them, and a step that is not run waits
// for no secret.
func TestConditionsOfInclusions(t *testing.T) {
	c, findings := mustLoad(t, files{
		".velocityci/blueprints/outer.yml": "parameters: [{name: key, secret: true}]\nsteps: [{type: blueprint, name: b, when: 'false', always: true, secrets: [key]}, {type: blueprint, name: b}]",
		".velocityci/blueprints/b.yml":     "parameters: [{name: os, default: linux}]\nsteps: [{type: run, command: x}, {type: run, command: y, when: 'parameters.os != \"linux\"'}]",
	})
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	req := request("outer", commit())
	req.Given = map[string]string{"key": "x"}
	var got []string
	for _, s := range mustDraw(t, c, req).Stages[0].Tasks[0].Steps {
		line := s.Name
		if s.Skip {
			line += " skipped"
		}
		if s.Always {
			line += " always"
		}
		got = append(got, line+strings.Join(s.Secrets, ""))
	}
	if diff := cmp.Diff([]string{"x skipped always", "y skipped always", "x", "y skipped"}, got); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

// TRUST P1 for conditions: what would take long ends in an error.
func TestHostileConditions(t *testing.T) {
	long := strings.Repeat("1, ", 1300)
	bombs := map[string]string{
		"nested":    strings.Repeat("(", 2000) + "true" + strings.Repeat(")", 2000),
		"long":      `"` + strings.Repeat("x", maxCondition) + `" == ""`,
		"operators": strings.Repeat("!", 2000) + "true",
		"indexes":   "parameters" + strings.Repeat("[0]", 1000),
		"work":      "[" + long + "1].all(a, [" + "1, 2, 3, 4, 5, 6, 7, 8].exists(b, a == b || [1].size() == 1))" + " || [" + "1].all(x, true)",
		"many":      "[" + strings.Repeat("0,", 90) + "0].all(a, [" + strings.Repeat("0,", 1800) + "0].all(b, a == b))",
		"NUL":       "git.branch == '\\000'",
	}
	for name, when := range bombs {
		c, findings := mustLoad(t, one("steps:\n  - type: run\n    command: x\n    when: |\n      "+when+"\n"))
		_, err := c.Draw(request("b", commit()))
		if name == "NUL" || name == "work" || name == "operators" { // odd, but no harm in them
			if err != nil {
				t.Errorf("%s: %.200v", name, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%s: no error; findings %.200v", name, findings)
		}
	}
}

func FuzzCondition(f *testing.F) {
	for _, when := range []string{
		`git.branch == "main"`, `changed("a", "!b") && parameters.os != 'x'`, `git.brnach`, `parameters`, `[1].all(a, a > 0)`, "é", `"\`, `{}.a`, `has(git.branch)`,
		`build.event.matches("(")`, "a\n.b", `parameters[git.tag]`, `changed(changed("a"))`, `git.commit.sha`, "1 / 0 == 1",
	} {
		f.Add(when)
	}
	f.Fuzz(func(t *testing.T, when string) {
		p := newPredicate(when)
		if (p.program == nil) == (len(p.mistakes) == 0) {
			t.Fatalf("program %v, mistakes %v", p.program, p.mistakes)
		}
		lines := strings.Count(when, "\n") + 1
		for _, m := range p.mistakes {
			if m.message == "" || m.column < 0 || m.line > lines && m.line > 1 {
				t.Errorf("mistake %+v", m)
			}
		}
		if p.program == nil {
			return
		}
		d := &drawer{req: request("b", commit()), pipeline: &pipeline{}, git: map[string]string{}, cleaned: map[string]string{}, changes: map[string]bool{}}
		on := &task{drawer: d, values: map[string]string{}}
		for _, use := range p.uses {
			on.values[use.name] = "x"
		}
		c := &condition{word: word{Set: true}, predicate: p}
		if one, two := on.holds(c), on.holds(c); one != two {
			t.Errorf("%q is %v and %v", when, one, two)
		}
	})
}
