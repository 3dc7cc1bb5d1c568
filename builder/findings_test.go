package builder

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

func TestReportsAreGatheredAlsoAfterAFailure(t *testing.T) {
	w := newBench(t)
	secret := "hunter2-hunter2"
	task := script(`printf 'package main\n' > main.go
printf '<testsuite name="s"><testcase name="good"/><testcase name="bad"><failure message="token %s">main.go:3: no</failure></testcase></testsuite>' "$token" > out.xml
printf '{"runs":[{"results":[{"ruleId":"R1","message":{"text":"smells"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"main.go"},"region":{"startLine":1}}}]}]}]}' > out.sarif
echo "main.go:7:2: warning: mentioned by what succeeds"`,
		`echo "main.go:9:1: $token is undefined" >&2; exit 2`)
	task.Parameters = []plan.Parameter{{Name: "token", Secret: true}}
	for i := range task.Steps {
		task.Steps[i].Secrets = []string{"token"}
	}
	task.Reports = plan.Reports{JUnit: []string{"*.xml", "no/*.xml"}, SARIF: []string{"out.sarif"}}
	r := w.build(t, task, func(a *dispatch.Assignment) { a.Values["token"] = secret })
	if r.Verdict != dispatch.Failed || r.Reason != "exit 2" {
		t.Errorf("ended %s, %q", r.Verdict, r.Reason)
	}
	if diff := cmp.Diff(build.Tests{Passed: 1, Failed: 1}, r.Tests); diff != "" {
		t.Errorf("tests (-want +got):\n%s", diff)
	}
	want := []build.Finding{
		{Kind: "test", Name: "s bad", File: "main.go", Line: 3, Level: "error", Message: "token ***\nmain.go:3: no"},
		{Kind: "compiler", File: "main.go", Line: 9, Column: 1, Level: "error", Message: "*** is undefined"},
		{Kind: "sarif", Name: "R1", File: "main.go", Line: 1, Level: "warning", Message: "smells"},
	}
	if diff := cmp.Diff(want, r.Findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	w.checkLog(t, r)
	w.checkClean(t)
}
