package blueprint

import "strings"

// cleanSuffix makes a built-in parameter safe to use anywhere.
const cleanSuffix = ".clean"

// gitNames are the built-in parameters about the commit.
func gitNames() []string {
	return []string{
		"git.branch", "git.tag", "git.commit.sha.long", "git.commit.sha.short",
		"git.commit.author", "git.commit.message", "git.commit.rfc3339", "git.commit.rfc822",
		"git.describe", "git.describe.all",
	}
}

// costly reports whether finding the value out takes git a walk through history.
func costly(base string) bool { return strings.HasPrefix(base, "git.describe") }

// buildNames are the built-in parameters that are known when a build begins.
func buildNames() []string {
	return []string{"build.id", "build.number", "build.rfc3339", "build.rfc822"}
}

// builtInNames are all names that need no declaration.
func builtInNames() []string {
	var names []string
	for _, n := range append(gitNames(), buildNames()...) {
		names = append(names, n, n+cleanSuffix)
	}
	return names
}

// A builtIn is one built-in parameter as it was referred to.
type builtIn struct {
	base  string // without .clean
	clean bool
	git   bool // about the commit, known when the plan is drawn
}

// lookupBuiltIn knows the names that gitNames and buildNames list. It is asked for
// every reference, so it does not build the lists.
func lookupBuiltIn(name string) (builtIn, bool) {
	base, clean := strings.CutSuffix(name, cleanSuffix)
	b := builtIn{base: base, clean: clean, git: strings.HasPrefix(base, "git.")}
	switch base {
	case "git.branch", "git.tag", "git.commit.sha.long", "git.commit.sha.short",
		"git.commit.author", "git.commit.message", "git.commit.rfc3339", "git.commit.rfc822",
		"git.describe", "git.describe.all",
		"build.id", "build.number", "build.rfc3339", "build.rfc822":
		return b, true
	}
	return builtIn{}, false
}

// tainted reports whether whoever pushes can choose the text.
func (b builtIn) tainted() bool {
	switch b.base {
	case "git.branch", "git.tag", "git.describe", "git.describe.all", "git.commit.author", "git.commit.message":
		return !b.clean
	}
	return false
}
