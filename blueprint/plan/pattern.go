package plan

import (
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Patterns pick names: of branches and tags, or of files by their path from the
// repository's root. * stops at slashes, ** does not. They are read in order and
// the last that matches decides; one that begins with ! takes names away again. A
// list that only takes away begins with all names.
type Patterns []string

// Selects reports whether the patterns pick the name.
func (p Patterns) Selects(name string) bool {
	selected := p.onlyTakeAway()
	for _, pattern := range p {
		pattern, not := strings.CutPrefix(pattern, "!")
		if ok, err := doublestar.Match(pattern, name); err == nil && ok {
			selected = !not
		}
	}
	return selected
}

// Reaches reports whether the patterns may pick a file below the folder dir, ""
// being the root. It is never wrong in saying no.
func (p Patterns) Reaches(dir string) bool {
	if dir == "" || p.onlyTakeAway() {
		return len(p) > 0
	}
	return slices.ContainsFunc(p, func(pattern string) bool {
		base, _ := doublestar.SplitPattern(pattern)
		return !strings.HasPrefix(pattern, "!") && (base == "." || below(dir, base) || below(base, dir))
	})
}

// Covers reports whether the patterns surely pick all files below the folder dir.
func (p Patterns) Covers(dir string) bool {
	covered := false
	for _, pattern := range p {
		if strings.HasPrefix(pattern, "!") {
			covered = false // it may take away something below
			continue
		}
		base, rest := doublestar.SplitPattern(pattern)
		covered = covered || rest == "**" && (base == "." || below(dir, base))
	}
	return covered
}

// onlyTakeAway reports whether no pattern adds a name and some take names away.
func (p Patterns) onlyTakeAway() bool {
	return len(p) > 0 && !slices.ContainsFunc(p, func(s string) bool { return !strings.HasPrefix(s, "!") })
}

// below reports whether the path is dir or lies below it.
func below(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, dir+"/")
}

// Matches reports whether the patterns choose name, as Patterns.Selects does.
func Matches(patterns []string, name string) bool { return Patterns(patterns).Selects(name) }

// ValidPattern reports whether p, without the ! before it, is a pattern for
// Matches. It also refuses a second !, which would take away what is not picked,
// and so many alternatives that matching them would take long: the matcher tries
// them one by one.
func ValidPattern(p string) bool {
	return p != "" && p[0] != '!' && len(p) <= 256 && strings.Count(p, "{") <= 4 && strings.Count(p, ",") <= 16 && doublestar.ValidatePattern(p)
}
