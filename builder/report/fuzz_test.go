package report

import (
	"bytes"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/velocity-ci/velocity/architect/build"
)

var someFiles = fstest.MapFS{"a.go": {}, "d/b_test.go": {}}

// consistent checks what holds for every summary, whatever was read.
func consistent(t *testing.T, s Summary) {
	t.Helper()
	if n := s.Tests; n.Passed < 0 || n.Failed < 0 || n.Skipped < 0 || n.Flaky < 0 || n.Flaky > n.Passed {
		t.Errorf("tests are %+v", n)
	}
	for _, f := range s.Findings {
		if f.File != "" && someFiles[f.File] == nil {
			t.Errorf("a finding in %q, which is not there", f.File)
		}
		if f.Line < 0 || f.Column < 0 || len(f.Message) > maxText || f.Flaky && f.Level == build.LevelError {
			t.Errorf("finding %+v", f)
		}
	}
	if len(s.Findings) > maxFindings {
		t.Errorf("%d findings", len(s.Findings))
	}
}

func FuzzJUnit(f *testing.F) {
	f.Add([]byte(`<testsuites><testsuite name="d"><testcase name="x" file="a.go" line="3"><failure message="m">b_test.go:7: t</failure></testcase><testcase name="x"/></testsuite></testsuites>`))
	f.Add([]byte(`<testsuite><testcase name="y"><flakyError/></testcase></testsuite>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := reader{places: NewPlaces(someFiles, "/w"), mask: asItIs}
		tests := newTally(asItIs)
		_ = tests.junit(bytes.NewReader(data)) // broken ones count as far as they go
		tests.into(&r)
		consistent(t, r.Summary)
	})
}

func FuzzSARIF(f *testing.F) {
	f.Add([]byte(`{"runs":[{"tool":{"driver":{"rules":[{"id":"r"}]}},"results":[{"ruleIndex":0,"message":{"text":"m"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a.go"},"region":{"startLine":1}}}]}]}]}`))
	f.Add([]byte(`{"runs":[null,{"results":null}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := reader{places: NewPlaces(someFiles, "/w"), mask: asItIs}
		_ = r.sarif(bytes.NewReader(data))
		consistent(t, r.Summary)
	})
}

func FuzzLines(f *testing.F) {
	f.Add("a.go:1:2: error: x\nd/b_test.go(3,4): warning A1: y\n", 3)
	f.Add("error[E1]: x\n --> a.go:1:1\n\x1b[31m/w/a.go:2: z\x1b[0m\n", 1)
	f.Fuzz(func(t *testing.T, text string, chunk int) {
		var whole, cut Lines
		if _, err := whole.Stream().Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		s := cut.Stream()
		for rest := text; rest != ""; {
			n := min(max(chunk, 1), len(rest))
			if _, err := s.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		places := NewPlaces(someFiles, "/w")
		all := whole.Findings(places)
		consistent(t, Summary{Findings: all})
		if others := cut.Findings(places); len(all) != len(others) {
			t.Errorf("%d findings in one piece, %d in pieces of %d: %q", len(all), len(others), chunk, strings.ToValidUTF8(text, "?"))
		}
	})
}
