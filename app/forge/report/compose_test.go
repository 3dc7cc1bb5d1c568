package report

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
)

var update = flag.Bool("update", false, "write the golden files anew")

func composer() *Composer {
	return &Composer{
		Page: func(id build.ID, task string) string {
			address := "https://ci.example/builds/" + id.String()
			if task != "" {
				address += "#" + task
			}
			return address
		},
		Tail: func(_ build.ID, _ *build.Task, from, to int64) ([]byte, error) {
			return []byte(logText[from:to]), nil
		},
	}
}

var logText = strings.Repeat("a line before\n", 40) + "10%\r100%\n\x1b[31m--- FAIL\x1b[0m: TestX\n\t```\n@octocat see #1 \u202e\nexit status 1\n"

func tailed(m *build.Move) { m.Log = &build.Log{Bytes: int64(len(logText))} }

// golden compares what is said of a build with a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".md")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}

func TestChecks(t *testing.T) {
	c := composer()
	ahead := composer()
	ahead.Ahead = func(build.ID) int { return 3 }
	allow := func(req build.Request) build.Request { req.Stages[0].Tasks[0].MayFail = true; return req }
	one := func() build.Request { return request(12, []string{"unit", "lint"}, []string{"image"}) }
	findings := func(m *build.Move) {
		m.Tests = build.Tests{Passed: 10, Failed: 1, Skipped: 2, Flaky: 1}
		m.Findings = []build.Finding{
			{Kind: build.FromTest, Name: "TestX", File: "./pkg/x_test.go", Line: 7, Column: 2, Level: build.LevelError, Message: "got 1"},
			{Kind: build.FromSARIF, Name: "S1", File: "../outside", Line: 7, Level: build.LevelWarning, Message: "no place"},
			{Kind: build.FromCompiler, File: `win\a.c`, Level: build.LevelNotice, Message: "whole file"},
		}
	}
	for name, tt := range map[string]struct {
		c *Composer
		s *site
	}{
		"queued":  {ahead, newSite(t, one()).open()},
		"held":    {c, newSite(t, held(one()))},
		"running": {c, newSite(t, one()).open().run("s0t0", build.Succeed).do(build.Assign, "s0t1").do(build.Begin, "s0t1", later(time.Minute))},
		"passed": {c, newSite(t, one()).open().run("s0t0", build.Succeed, later(72*time.Second)).run("s0t1", build.Succeed, later(80*time.Second)).
			run("s1t0", build.Succeed, later(200*time.Second), findings)},
		"failed": {c, newSite(t, one()).open().do(build.Assign, "s0t0").do(build.Begin, "s0t0").
			step("s0t0", 1, build.Failed, "exit 1", 14, int64(len(logText))).do(build.Fail, "s0t0", because("exit 1"), findings, tailed).
			run("s0t1", build.Succeed)},
		"allowed":    {c, newSite(t, allow(one())).open().run("s0t0", build.Fail, because("exit 1")).run("s0t1", build.Succeed).run("s1t0", build.Succeed)},
		"timed-out":  {c, newSite(t, one()).open().run("s0t0", build.Fail, because("timed out")).run("s0t1", build.Succeed)},
		"canceled":   {c, newSite(t, one()).open().do(build.Canceling, "", because("canceled"))},
		"superseded": {c, newSite(t, one()).open().do(build.Canceling, "", because("superseded by k3f9a2-13"))},
		"closed":     {c, newSite(t, one()).open().do(build.Canceling, "", because("pull request closed"))},
		"lost": {c, newSite(t, one()).open().run("s0t0", build.Interrupt, because("lost builder")).
			do(build.Fail, "s0t0", because("lost builder (1 attempts)")).run("s0t1", build.Succeed)},
		"refused": {c, newSite(t, request(12)).
			do(build.Refuse, "", because("configuration: .velocityci/pipelines/default.yml:3:7: error: no blueprint `unti`; did you mean \"unit\"? (and 2 more; velocity lint shows all)"))},
		"not-approved": {c, newSite(t, held(one())).do(build.Canceling, "", because("not approved"))},
		"broken":       {c, newSite(t, request(12)).do(build.Refuse, "", because("internal error while planning: index out of range"))},
		"skipped":      {c, newSite(t, skipped(one())).open()},
		"reused":       {c, newSite(t, reusing(one())).open()},
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, printed(tt.c.Check(tt.c.Subjects(tt.s.shown())[0]))) })
	}
}

func skipped(req build.Request) build.Request {
	build.SkipAll(req.Stages)
	return req
}

func reusing(req build.Request) build.Request {
	from := map[string]build.Success{}
	for _, key := range []string{"s0t0", "s0t1", "s1t0"} {
		from[key] = build.Success{Origin: build.Origin{Build: build.ID{Store: "k3f9a2", Number: 3}, Task: key}}
	}
	build.Keep(req.Stages, from)
	return req
}

func held(req build.Request) build.Request {
	req.Held = true
	return req
}
