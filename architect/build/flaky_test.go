package build

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A test that fails in one attempt and not in the next is flaky, whatever becomes
// of the task.
func TestFlakyAcrossAttempts(t *testing.T) {
	req := request(1)
	req.Stages[0].Tasks[0].Retry = plan.Retry{Times: 2}
	b, _ := New(req, start)
	bad := func(name string) Finding {
		return Finding{Kind: FromTest, Name: name, Level: LevelError, Message: "no"}
	}
	do := func(on Kind, tests Tests, found ...Finding) {
		t.Helper()
		if _, err := b.Do(Move{Kind: on, Task: "s0t0", Builder: "b", At: start, Tests: tests, Findings: found, Reason: "exit 1"}); err != nil {
			t.Fatal(err)
		}
	}
	do(Start, Tests{})
	for _, found := range [][]Finding{{bad("net"), bad("db")}, {bad("net"), bad("sum")}} {
		do(Assign, Tests{})
		do(Begin, Tests{})
		do(Fail, Tests{Failed: 2}, found...)
	}
	do(Assign, Tests{})
	do(Begin, Tests{})
	do(Fail, Tests{Passed: 2, Failed: 1}, bad("sum"))
	task, _ := b.Task("s0t0")
	want := []Finding{
		bad("sum"),
		{Kind: FromTest, Name: "net", Level: LevelWarning, Flaky: true, Message: "failed in attempt 1"},
		{Kind: FromTest, Name: "db", Level: LevelWarning, Flaky: true, Message: "failed in attempt 1"},
	}
	if diff := cmp.Diff(want, task.Findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Tests{Passed: 2, Failed: 1, Flaky: 2}, task.Tests); diff != "" {
		t.Errorf("tests (-want +got):\n%s", diff)
	}
}
