package plan

import (
	"strings"
	"testing"
)

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
