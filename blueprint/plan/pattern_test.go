package plan

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		patterns string // separated by blanks
		name     string
		want     bool
	}{
		{"", "a", false},
		{"a", "a", true},
		{"a", "a/b", false},
		{"*", "a/b", false},
		{"**", "a/b", true},
		{"docs/**", "docs/a/b.md", true},
		{"**/*.go", "a.go", true},
		{"**/*.go", "x/y/a.go", true},
		{"**/*.go !**/*_test.go", "x/a_test.go", false},
		{"!docs/**", "main.go", true},
		{"!docs/**", "docs/x", false},
		{"!docs/** docs/keep", "docs/keep", true},
		{"!docs/** docs/keep", "main.go", false},
		{"** !a a", "a", true},
		{"{a,b}/*", "b/c", true},
	} {
		if got := Patterns(strings.Fields(c.patterns)).Selects(c.name); got != c.want {
			t.Errorf("%q selects %q: %v, want %v", c.patterns, c.name, got, c.want)
		}
	}
}

func TestPatternsOfFolders(t *testing.T) {
	for _, c := range []struct {
		patterns, dir   string
		reaches, covers bool
	}{
		{"", "", false, false},
		{"**", "", true, true},
		{"**", "a/b", true, true},
		{"a/**", "", true, false},
		{"a/**", "a", true, true},
		{"a/**", "a/b", true, true},
		{"a/**", "ab", false, false},
		{"a/b/**", "a", true, false},
		{"a/b/*", "a/b", true, false},
		{"a/**/x", "a/b", true, false},
		{"*/x", "a", true, false},
		{"{a,b}/**", "a", true, false},
		{"a/** !a/b", "a", true, false},
		{"!a/b a/**", "a", true, true},
		{"!a", "b", true, false},
		{"b/** !a/**", "c", false, false},
	} {
		p := Patterns(strings.Fields(c.patterns))
		if r, v := p.Reaches(c.dir), p.Covers(c.dir); r != c.reaches || v != c.covers {
			t.Errorf("%q and the folder %q: reaches %v, covers %v; want %v, %v", c.patterns, c.dir, r, v, c.reaches, c.covers)
		}
	}
}

// What a folder is said to be must hold for each file in it.
func TestPatternsOfFoldersHoldForFiles(t *testing.T) {
	part := rapid.SampledFrom([]string{"a", "b", "*", "**", "{a,b}", "a*"})
	rapid.Check(t, func(t *rapid.T) {
		var p Patterns
		for range rapid.IntRange(0, 3).Draw(t, "patterns") {
			not := rapid.SampledFrom([]string{"", "", "!"}).Draw(t, "not")
			p = append(p, not+strings.Join(rapid.SliceOfN(part, 1, 3).Draw(t, "pattern"), "/"))
		}
		path := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "ab"}), 2, 4).Draw(t, "path")
		file := strings.Join(path, "/")
		for n := range len(path) {
			dir := strings.Join(path[:n], "/")
			if p.Selects(file) && !p.Reaches(dir) {
				t.Fatalf("%q selects %q but does not reach %q", p, file, dir)
			}
			if !p.Selects(file) && p.Covers(dir) {
				t.Fatalf("%q covers %q but does not select %q", p, dir, file)
			}
		}
	})
}
