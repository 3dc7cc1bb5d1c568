package plan

import (
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Matches reports whether the patterns choose name, which is a path in the
// repository or the name of a branch or tag. In a pattern * stops at slashes, **
// does not, and {a,b} is either.
//
// The patterns are read in order and the last that matches decides; one that
// begins with ! takes names away again. A list that only takes away begins with
// all names, and an empty list chooses none.
func Matches(patterns []string, name string) bool {
	matched := len(patterns) > 0 && !slices.ContainsFunc(patterns, func(p string) bool { return !strings.HasPrefix(p, "!") })
	for _, p := range patterns {
		p, not := strings.CutPrefix(p, "!")
		if ok, err := doublestar.Match(p, name); err == nil && ok {
			matched = !not
		}
	}
	return matched
}

// ValidPattern reports whether p, without the ! before it, is a pattern for
// Matches. It also refuses those with so many alternatives that matching them
// would take long: the matcher tries them one by one.
func ValidPattern(p string) bool {
	return p != "" && len(p) <= 256 && strings.Count(p, "{") <= 4 && strings.Count(p, ",") <= 16 && doublestar.ValidatePattern(p)
}
