package plan

import (
	"strings"
	"testing"
)

func TestMatches(t *testing.T) {
	for _, test := range []struct {
		patterns string
		name     string
		want     bool
	}{
		{"", "a", false},
		{"main", "main", true}, {"main", "maine", false}, {"main", "a/main", false},
		{"*", "a", true}, {"*", "a/b", false}, {"**", "a/b", true}, {"src/**", "src/a/b.go", true}, {"src/**", "src", true}, {"src/*", "src/a/b", false},
		{"**/*.md", "README.md", true}, {"**/*.md", "docs/a/b.md", true}, {"{a,b}/*", "b/x", true}, {"[ab]*", "c", false},
		{"!docs/**", "a", true}, {"!docs/**", "docs/a", false}, {"!a !b", "b", false},
		{"** !docs/** docs/keep", "docs/keep", true}, {"** !docs/** docs/keep", "docs/a", false}, {"!** a", "a", true}, {"a !a", "a", false},
		{"[", "[", false},
	} {
		if got := Matches(strings.Fields(test.patterns), test.name); got != test.want {
			t.Errorf("Matches(%q, %q) = %v; want %v", test.patterns, test.name, got, test.want)
		}
	}
}

// TRUST P1: no pattern that is accepted takes long, and each list does what a
// reading from its end says.
func FuzzMatches(f *testing.F) {
	f.Add("**/*.go !**/*_test.go", "a/b/c_test.go")
	f.Add("{a,b}{a,b}{a,b}{a,b} !*", "abab")
	f.Add(strings.Repeat("*a", 120), strings.Repeat("a", 200))
	f.Add(strings.Repeat("**/", 80)+"x", strings.Repeat("a/", 100))
	f.Fuzz(func(t *testing.T, list, name string) {
		if len(name) > 1<<10 {
			return
		}
		patterns := strings.Fields(list)
		if len(patterns) > 10 {
			return
		}
		for _, p := range patterns {
			if !ValidPattern(strings.TrimPrefix(p, "!")) {
				return
			}
		}
		got := Matches(patterns, name)
		for i := len(patterns) - 1; i >= 0; i-- {
			p, not := strings.CutPrefix(patterns[i], "!")
			if Matches([]string{p}, name) {
				if got == not {
					t.Fatalf("Matches(%q, %q) = %v, although %q is the last that matches", patterns, name, got, patterns[i])
				}
				return
			}
		}
	})
}
