package report

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/velocity-ci/velocity/architect/build"
)

// maxFailing bounds the failing tests that are remembered. All are counted.
const maxFailing = 10_000

// A tally adds the tests of all reports up. A test that failed and then passed
// under the same name, in a rerun that its tool made, is flaky.
type tally struct {
	mask    func(string) string
	tests   build.Tests
	failing []*failure
	byKey   map[string]*failure
}

// A failure is a test that failed, and perhaps passed later.
type failure struct {
	name, class string
	file        string // as the report says it
	line        int
	text        string
	passed      bool
}

func newTally(mask func(string) string) *tally {
	return &tally{mask: mask, byKey: map[string]*failure{}}
}

// A testcase is one test as a report tells of it; the elements are those that
// Ant, Surefire, pytest, Jest and the tools that follow them write.
type testcase struct {
	Name    string    `xml:"name,attr"`
	Class   string    `xml:"classname,attr"`
	File    string    `xml:"file,attr"`
	Line    string    `xml:"line,attr"`
	Failure []problem `xml:"failure"`
	Error   []problem `xml:"error"`
	Skipped *struct{} `xml:"skipped"`
	// Surefire's words for a test that passed in a rerun of its own.
	FlakyFailure []problem `xml:"flakyFailure"`
	FlakyError   []problem `xml:"flakyError"`
}

type problem struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// junit reads one report, test by test.
func (t *tally) junit(r io.Reader) error {
	dec := xml.NewDecoder(r)
	dec.Strict = true
	suites := []string{""}
	seen := false
	for {
		token, err := dec.Token()
		switch {
		case errors.Is(err, io.EOF) && !seen:
			return errors.New("not a JUnit report: it has no testsuite")
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("not well-formed XML: %w", err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			switch e.Name.Local {
			case "testsuites":
				seen = true
			case "testsuite":
				seen = true
				suites = append(suites, attribute(e, "name"))
			case "testcase":
				var c testcase
				if err := dec.DecodeElement(&c, &e); err != nil {
					return fmt.Errorf("not well-formed XML: %w", err)
				}
				t.add(&c, suites[len(suites)-1])
			default:
				if err := dec.Skip(); err != nil {
					return fmt.Errorf("not well-formed XML: %w", err)
				}
			}
			if !seen {
				return fmt.Errorf("not a JUnit report: it begins with %.40q", e.Name.Local)
			}
		case xml.EndElement:
			if e.Name.Local == "testsuite" {
				suites = suites[:len(suites)-1]
			}
		}
	}
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// add counts a test.
func (t *tally) add(c *testcase, suite string) {
	key := strings.Join([]string{suite, c.Class, c.File, c.Name}, "\x00")
	earlier := t.byKey[key]
	flaky := append(c.FlakyFailure, c.FlakyError...)
	switch bad := append(c.Failure, c.Error...); {
	case len(bad) > 0:
		t.tests.Failed++
		t.remember(key, c, suite, bad)
	case c.Skipped != nil:
		t.tests.Skipped++
	case earlier != nil && !earlier.passed: // what failed before was this one
		earlier.passed = true
		t.tests.Failed--
		t.tests.Passed++
		t.tests.Flaky++
	default:
		t.tests.Passed++
		if len(flaky) > 0 {
			t.tests.Flaky++
			if f := t.remember(key, c, suite, flaky); f != nil {
				f.passed = true
			}
		}
	}
}

func (t *tally) remember(key string, c *testcase, suite string, bad []problem) *failure {
	if len(t.failing) >= maxFailing {
		return nil
	}
	if c.Class == "" {
		c.Class = suite
	}
	f := &failure{name: t.text(c.Name), class: t.text(c.Class), file: t.text(c.File)}
	f.line, _ = strconv.Atoi(c.Line) // 0 if there is none
	for _, p := range bad[:min(len(bad), 10)] {
		f.text += t.text(p.Message) + "\n" + t.text(p.Text) + "\n"
	}
	f.text = strings.TrimSpace(clip(f.text))
	t.failing = append(t.failing, f)
	t.byKey[key] = f
	return f
}

// text is a text of a report as it may be told.
func (t *tally) text(s string) string { return strings.TrimSpace(clip(t.mask(s))) }

// into turns the failures into findings, those that stayed first.
func (t *tally) into(r *reader) {
	r.Tests = t.tests
	for _, passed := range []bool{false, true} {
		for _, f := range t.failing {
			if f.passed == passed {
				r.add(f.finding(r.places))
			}
		}
	}
}

func (f *failure) finding(places *Places) build.Finding {
	out := build.Finding{
		Kind: build.FromTest, Name: f.fullName(), Level: build.LevelError, Message: f.text, Flaky: f.passed,
	}
	if f.passed {
		out.Level = build.LevelWarning
	}
	if out.File = places.findNear(f.file, f.class); out.File != "" {
		out.Line = max(f.line, 0)
		return out
	}
	for _, m := range inText().FindAllStringSubmatch(f.text, 50) {
		if file := places.findNear(m[1], f.class); file != "" {
			out.File = file
			out.Line, _ = strconv.Atoi(m[2])
			break
		}
	}
	return out
}

// inText matches a place as most tools print it within a failure: file:line.
var inText = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`([^\s:"'()<>]+\.[A-Za-z]\w*):(\d{1,7})\b`)
})

// fullName is class and name, unless the one is within the other already.
func (f *failure) fullName() string {
	switch {
	case f.class == "" || strings.Contains(f.name, f.class):
		return f.name
	case f.name == "":
		return f.class
	}
	return f.class + " " + f.name
}
