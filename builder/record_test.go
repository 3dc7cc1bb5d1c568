package builder

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

var (
	sampleAttempt = dispatch.Attempt{Build: build.ID{Store: "k3f9a2", Number: 7}, Task: "s0t1", Number: 2}
	sampleEnd     = time.Date(2026, 11, 22, 12, 0, 0, 5, time.UTC)
	sampleResult  = dispatch.Result{
		Attempt: sampleAttempt, Verdict: dispatch.Failed, Reason: "exit 2",
		Steps: []build.Step{
			{Type: plan.StepSetup, Name: "setup", State: build.Succeeded, Started: sampleEnd, Finished: sampleEnd},
			{Type: plan.StepRun, Name: "test", State: build.Failed, Reason: "exit 2", Exit: 2, Image: "sha256:0123",
				Started: sampleEnd, Finished: sampleEnd, From: 3, To: 12,
				Images: []build.Image{{Name: "app:1", Digest: "sha256:4567"}}},
		},
		Log:   build.Log{Bytes: 12, Lines: 2, SHA256: strings.Repeat("0a", 32)},
		Times: 21,
		Tests: build.Tests{Passed: 3, Failed: 1, Skipped: 2, Flaky: 1},
		Findings: []build.Finding{{
			Kind: build.FromTest, Name: "TestX", File: "x_test.go", Line: 7, Column: 2, Level: build.LevelError, Message: "got 1", Flaky: true,
		}},
		Artifacts: []build.Artifact{{Name: "bin/x", Size: 9, SHA256: strings.Repeat("0b", 32)}},
	}
)

func TestRecordIsReadAgain(t *testing.T) {
	for name, c := range map[string]struct {
		result dispatch.Result
		ended  time.Time
	}{
		"ended":     {sampleResult, sampleEnd},
		"under way": {dispatch.Result{Attempt: sampleAttempt}, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := encodeRecord(c.result, c.ended)
			if err != nil {
				t.Fatal(err)
			}
			result, ended, err := decodeRecord(data)
			if err != nil {
				t.Fatalf("decodeRecord(%s) = %v", data, err)
			}
			if diff := cmp.Diff(c.result, result); diff != "" || !ended.Equal(c.ended) {
				t.Errorf("ended %v, want %v; result (-want +got):\n%s", ended, c.ended, diff)
			}
		})
	}
}

func TestRecordRefusals(t *testing.T) {
	good := `{"version":1,"build":"k3f9a2-7","task":"s0t1","attempt":2,"ended":"2026-11-22T12:00:00Z","verdict":"failed"}`
	if _, _, err := decodeRecord([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"a later version":                  {`"version":1`, `"version":2`},
		"no build":                         {`k3f9a2-7`, ``},
		"a task that leads outside":        {`s0t1`, `../x`},
		"no attempt":                       {`"attempt":2`, `"attempt":0`},
		"a verdict of its own":             {`failed`, `fine`},
		"an end without a verdict":         {`failed`, ``},
		"a verdict without an end":         {`"ended":"2026-11-22T12:00:00Z",`, ``},
		"a step beyond the log":            {`"attempt":2`, `"attempt":2,"steps":[{"type":"run","state":"failed","to":1}]`},
		"half an artifact's sum":           {`"attempt":2`, `"attempt":2,"artifacts":[{"name":"x","size":1,"sha256":"00"}]`},
		"an artifact of less than nothing": {`"attempt":2`, `"attempt":2,"artifacts":[{"name":"x","size":-1,"sha256":"` + strings.Repeat("0", 64) + `"}]`},
		"more findings than are kept":      {`"attempt":2`, `"attempt":2,"findings":[` + strings.Repeat(`{},`, 200) + `{}]`},
		"half a sum":                       {`"attempt":2`, `"attempt":2,"sha256":"00"`},
		"cut off":                          {`"}`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			bad := strings.Replace(good, change[0], change[1], 1)
			if r, _, err := decodeRecord([]byte(bad)); err == nil {
				t.Errorf("decodeRecord(%s) = %+v", bad, r)
			}
		})
	}
}

// What can be read can be written and read again, and is the same.
func FuzzRecord(f *testing.F) {
	for _, r := range []dispatch.Result{sampleResult, {Attempt: sampleAttempt, Verdict: dispatch.Succeeded}} {
		data, err := encodeRecord(r, sampleEnd)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"version":1,"build":"k3f9a2-7","task":"s0t1","attempt":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		first, ended, err := decodeRecord(data)
		if err != nil {
			return
		}
		again, err := encodeRecord(first, ended)
		if err != nil {
			t.Fatalf("%s cannot be written: %v", data, err)
		}
		second, endedAgain, err := decodeRecord(again)
		if err != nil {
			t.Fatalf("%s cannot be read: %v", again, err)
		}
		if diff := cmp.Diff(first, second); diff != "" || !ended.Equal(endedAgain) {
			t.Errorf("ended %v and %v (-first +second):\n%s", ended, endedAgain, diff)
		}
	})
}
