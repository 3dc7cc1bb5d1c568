package app_test

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The pages that measure and torture show commands that take minutes. CI runs the
// tests, and here is seen that the commands still find them: their packages, the
// names that they select, and the flags that are a test's own.
func TestGoTestCommandsFindTests(t *testing.T) {
	shown := commandsOf(t, "docs/benchmarks.md") + commandsOf(t, "docs/faults.md") + commandsOf(t, "docs/scaling.md")
	commands := 0
	for line := range strings.Lines(shown) {
		words := splitLine(line)
		for len(words) > 0 && regexp.MustCompile(`^[A-Z_]+=`).MatchString(words[0]) {
			words = words[1:]
		}
		if len(words) < 3 || words[0] != "go" || words[1] != "test" {
			t.Errorf("%q is no go test", line)
			continue
		}
		commands++
		if err := findsTests(words[2:]); err != nil {
			t.Errorf("%q: %v", strings.TrimSpace(line), err)
		}
	}
	if commands < 10 {
		t.Errorf("only %d commands were found", commands)
	}
}

// valued are the flags of go test that the pages use and that take a value.
var valued = []string{"-run", "-bench", "-benchtime", "-timeout"}

// findsTests looks whether the arguments of go test select something.
func findsTests(args []string) error {
	var sources string
	var selected, own []string
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case strings.HasPrefix(a, "./"):
			text, err := testSources(a)
			if err != nil {
				return err
			}
			sources += text
		case slices.Contains(valued, a):
			i++
			if a == "-run" || a == "-bench" {
				selected = append(selected, args[i])
			}
		case strings.HasPrefix(a, "-") && a != "-v":
			own = append(own, strings.TrimPrefix(a, "-"))
		}
	}
	for _, pattern := range selected {
		for one := range strings.SplitSeq(pattern, "|") {
			one, _, _ = strings.Cut(one, "/")
			if one != "^$" && !regexp.MustCompile(`(?m)^func (?:Test|Benchmark)\w*(?:`+one+`)|^func (?:`+one+`)`).MatchString(sources) {
				return fmt.Errorf("there is no test or benchmark %s", one)
			}
		}
	}
	for _, name := range own {
		if !strings.Contains(sources, `"`+name+`"`) {
			return fmt.Errorf("there is no flag %s", name)
		}
	}
	return nil
}

// testSources are the tests of a package, or with /... of all below it.
func testSources(pattern string) (string, error) {
	dir, all := strings.CutSuffix(path.Clean(pattern), "/...")
	var text strings.Builder
	err := fs.WalkDir(os.DirFS(top), dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != dir && !all:
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		source, err := os.ReadFile(filepath.Join(top, name))
		text.Write(source)
		return err
	})
	if text.Len() == 0 && err == nil {
		err = fmt.Errorf("no package %s has tests", pattern)
	}
	return text.String(), err
}
