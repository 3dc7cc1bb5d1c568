package report

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// asItIs masks nothing.
func asItIs(s string) string { return s }

// workspace is a folder of files, and how steps saw it.
func workspace(t *testing.T, files map[string]string) (*os.Root, *Places) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root, NewPlaces(root.FS().(fs.StatFS), "/velocity_ci", dir)
}

func TestJUnit(t *testing.T) {
	for name, c := range map[string]struct {
		xml   string
		files []string
		tests build.Tests
		want  []build.Finding
	}{
		"gotestsum": {
			xml: `<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="3" failures="1"><testsuite tests="3" name="example.com/shop/cart">
<properties><property name="go.version" value="go1.26"></property></properties>
<testcase classname="example.com/shop/cart" name="TestAdd" time="0.1"></testcase>
<testcase classname="example.com/shop/cart" name="TestSum" time="0"><failure message="Failed" type="">=== RUN   TestSum
    cart_test.go:17: Sum() = 3, want 4
--- FAIL: TestSum (0.00s)
</failure></testcase>
<testcase classname="example.com/shop/cart" name="TestSlow"><skipped message="slow"></skipped></testcase>
</testsuite></testsuites>`,
			files: []string{"cart/cart_test.go"},
			tests: build.Tests{Passed: 1, Failed: 1, Skipped: 1},
			want: []build.Finding{{
				Kind: "test", Name: "example.com/shop/cart TestSum", File: "cart/cart_test.go", Line: 17, Level: "error",
				Message: "Failed\n=== RUN   TestSum\n    cart_test.go:17: Sum() = 3, want 4\n--- FAIL: TestSum (0.00s)",
			}},
		},
		"rerun by gotestsum": {
			xml: `<testsuites><testsuite name="p"><testcase classname="p" name="TestNet"><failure message="Failed">dial</failure></testcase></testsuite>
<testsuite name="p"><testcase classname="p" name="TestNet"/></testsuite></testsuites>`,
			tests: build.Tests{Passed: 1, Flaky: 1},
			want:  []build.Finding{{Kind: "test", Name: "p TestNet", Level: "warning", Message: "Failed\ndial", Flaky: true}},
		},
		"pytest": {
			xml: `<testsuites><testsuite name="pytest" errors="1"><testcase classname="tests.test_a" name="test_x" time="0.001">
<error message="failed on setup with &quot;E&quot;">tests/test_a.py:9: E</error></testcase></testsuite></testsuites>`,
			files: []string{"tests/test_a.py"},
			tests: build.Tests{Failed: 1},
			want: []build.Finding{{
				Kind: "test", Name: "tests.test_a test_x", File: "tests/test_a.py", Line: 9, Level: "error",
				Message: "failed on setup with \"E\"\ntests/test_a.py:9: E",
			}},
		},
		"jest-junit": {
			xml: `<testsuites name="jest tests"><testsuite name="cart" errors="0"><testcase classname="cart adds" name="cart adds" file="src/cart.test.js">
<failure>Error: expect(received)
    at Object.&lt;anonymous&gt; (/velocity_ci/src/cart.test.js:4:13)</failure></testcase></testsuite></testsuites>`,
			files: []string{"src/cart.test.js"},
			tests: build.Tests{Failed: 1},
			want: []build.Finding{{
				Kind: "test", Name: "cart adds", File: "src/cart.test.js", Level: "error",
				Message: "Error: expect(received)\n    at Object.<anonymous> (/velocity_ci/src/cart.test.js:4:13)",
			}},
		},
		"surefire": {
			xml: `<testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" name="CartTest" tests="2">
<testcase name="adds" classname="shop.CartTest"><flakyFailure message="once" type="AssertionError"><stackTrace>x</stackTrace></flakyFailure></testcase>
<testcase name="sums" classname="shop.CartTest"><rerunFailure message="again"/><failure message="2 != 3">trace</failure><system-out>noise</system-out></testcase></testsuite>`,
			tests: build.Tests{Passed: 1, Failed: 1, Flaky: 1},
			want: []build.Finding{
				{Kind: "test", Name: "shop.CartTest sums", Level: "error", Message: "2 != 3\ntrace"},
				{Kind: "test", Name: "shop.CartTest adds", Level: "warning", Message: "once", Flaky: true},
			},
		},
		"cargo-nextest": {
			xml: `<testsuites name="nextest-run"><testsuite name="shop"><testcase name="tests::sums" classname="shop">
<failure type="test failure">thread 'tests::sums' panicked at src/lib.rs:12:9:
assertion failed</failure><system-err>x</system-err></testcase></testsuite></testsuites>`,
			files: []string{"src/lib.rs"},
			tests: build.Tests{Failed: 1},
			want: []build.Finding{{
				Kind: "test", Name: "shop tests::sums", File: "src/lib.rs", Line: 12, Level: "error",
				Message: "thread 'tests::sums' panicked at src/lib.rs:12:9:\nassertion failed",
			}},
		},
		"nested suites": {
			xml: `<testsuites><testsuite name="a"><testsuite name="b"><testcase name="x"><failure/></testcase></testsuite>
<testcase name="y"><failure/></testcase></testsuite></testsuites>`,
			tests: build.Tests{Failed: 2},
			want: []build.Finding{
				{Kind: "test", Name: "b x", Level: "error"},
				{Kind: "test", Name: "a y", Level: "error"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"out/report.xml": c.xml}
			for _, f := range c.files {
				files[f] = ""
			}
			root, places := workspace(t, files)
			got := Read(root, plan.Reports{JUnit: []string{"out/*.xml"}}, places, asItIs)
			if diff := cmp.Diff(Summary{Tests: c.tests, Findings: c.want}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSARIF(t *testing.T) {
	const text = "\ufeff" + `{"$schema": "x", "version": "2.1.0", "runs": [{
"results": [
 {"ruleId": "G1", "ruleIndex": 0, "message": {"text": "bad"}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": "cmd/a%20b.go"}, "region": {"startLine": 3, "startColumn": 7}}}]},
 {"ruleId": "G2", "message": {"id": "default"}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": "file:///velocity_ci/main.go"}, "region": {"startLine": 1}}}]},
 {"ruleId": "G3", "level": "error", "message": {"text": "elsewhere"}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": "../../etc/passwd"}}}]},
 {"ruleId": "G1", "kind": "pass", "message": {"text": "fine"}},
 {"ruleId": "G1", "suppressions": [{"kind": "inSource"}], "message": {"text": "known"}},
 {"ruleId": "G1", "baselineState": "absent", "message": {"text": "gone"}},
 {"rule": {"index": 1}, "level": "none", "message": {}}
],
"tool": {"driver": {"name": "x", "rules": [
 {"id": "G1", "defaultConfiguration": {"level": "error"}},
 {"id": "G2", "shortDescription": {"text": "short"}, "messageStrings": {"default": {"text": "by id"}}}
]}}}, {"tool": {"driver": {"name": "empty"}}, "results": null}]}`
	root, places := workspace(t, map[string]string{"r.sarif": text, "cmd/a b.go": "", "main.go": ""})
	got := Read(root, plan.Reports{SARIF: []string{"*.sarif"}}, places, asItIs)
	want := Summary{Findings: []build.Finding{
		{Kind: "sarif", Name: "G1", File: "cmd/a b.go", Line: 3, Column: 7, Level: "error", Message: "bad"},
		{Kind: "sarif", Name: "G2", File: "main.go", Line: 1, Level: "warning", Message: "by id"},
		{Kind: "sarif", Name: "G3", Level: "error", Message: "elsewhere"},
		{Kind: "sarif", Name: "G2", Level: "notice", Message: "short"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBrokenReportsAreTold(t *testing.T) {
	root, places := workspace(t, map[string]string{
		"cut.xml":   `<testsuites><testsuite><testcase name="a"/><testcase name="b"`,
		"html.xml":  `<html><body/></html>`,
		"empty.xml": "",
		"bomb.xml":  `<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><testsuite><testcase name="&b;"/></testsuite>`,
		"a.sarif":   `{"runs": 7}`,
		"b.sarif":   `{"runs": [`,
		"c.sarif":   `{"version": "2.1.0"}`,
	})
	if err := root.Symlink("/etc/passwd", "link.xml"); err != nil {
		t.Fatal(err)
	}
	got := Read(root, plan.Reports{JUnit: []string{"*.xml", "none/*.xml"}, SARIF: []string{"*.sarif", "["}}, places, asItIs)
	want := []string{
		"reports none/*.xml: there is no such file",
		"report bomb.xml: not well-formed XML: XML syntax error on line 1: invalid character entity &b;",
		"report cut.xml: not well-formed XML: XML syntax error on line 1: unexpected EOF",
		"report empty.xml: not a JUnit report: it has no testsuite",
		`report html.xml: not a JUnit report: it begins with "html"`,
		"report link.xml: path escapes from parent",
		"reports [: syntax error in pattern",
		"report a.sarif: not a SARIF report: expected [, found 7",
		"report b.sarif: not a SARIF report: it ends early",
		"report c.sarif: not a SARIF report: it has no runs",
	}
	if diff := cmp.Diff(want, got.Problems); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Tests.Passed != 1 { // what stood before the damage counts
		t.Errorf("tests are %+v", got.Tests)
	}
}

func TestManyTestsAreCountedAndFewKept(t *testing.T) {
	var b strings.Builder
	b.WriteString("<testsuite>")
	for i := range 3 * maxFailing {
		fmt.Fprintf(&b, `<testcase name="t%d"><failure message="no"/></testcase>`, i)
	}
	b.WriteString("</testsuite>")
	root, places := workspace(t, map[string]string{"r.xml": b.String()})
	got := Read(root, plan.Reports{JUnit: []string{"r.xml"}}, places, asItIs)
	if got.Tests.Failed != 3*maxFailing || len(got.Findings) != maxFindings {
		t.Errorf("%d failed, %d findings", got.Tests.Failed, len(got.Findings))
	}
}

// A secret that a cut would halve is not recognised after it.
func TestTextsAreMaskedBeforeTheyAreCut(t *testing.T) {
	const secret = "correct horse battery staple"
	long := strings.Repeat("x", maxText-len(secret)/2-len("failed\n")) + secret
	root, places := workspace(t, map[string]string{
		"r.xml":   `<testsuite><testcase name="` + secret + `"><failure message="failed">` + long + `</failure></testcase></testsuite>`,
		"r.sarif": `{"runs": [{"results": [{"message": {"text": "` + strings.Repeat("x", maxText-10) + secret + `"}}]}]}`,
	})
	mask := func(s string) string { return strings.ReplaceAll(s, secret, "***") }
	got := Read(root, plan.Reports{JUnit: []string{"r.xml"}, SARIF: []string{"r.sarif"}}, places, mask)
	if len(got.Findings) != 2 {
		t.Fatalf("%d findings", len(got.Findings))
	}
	for _, f := range got.Findings {
		if strings.Contains(f.Name+f.Message, secret[:4]) {
			t.Errorf("%s finding has a part of the secret: …%q", f.Kind, f.Message[len(f.Message)-40:])
		}
	}
}
