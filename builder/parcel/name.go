package parcel

import (
	"io/fs"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of names, in bytes: those of Linux.
const (
	maxName      = 4095
	maxComponent = 255
)

// checkName accepts a path within the workspace that every system reads alike.
func checkName(name string) error {
	switch {
	case len(name) > maxName:
		return refused("a name of %d bytes", len(name))
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return refused("%q: a name with bytes that are no text", name)
	case !fs.ValidPath(name) || name == ".":
		return refused("%q is no path within a folder", name)
	}
	for part := range strings.SplitSeq(name, "/") {
		if len(part) > maxComponent {
			return refused("a name with a part of %d bytes", len(part))
		}
		if isGit(part) {
			return refused("%q is in a .git folder", name)
		}
	}
	return nil
}

// isGit reports whether some file system takes the part of a name for ".git".
func isGit(part string) bool {
	part, _, _ = strings.Cut(part, ":") // a stream of it, on NTFS
	part = strings.Map(func(c rune) rune {
		if unicode.Is(unicode.Cf, c) || c == utf8.RuneError {
			return -1 // HFS+ does not see them
		}
		return c
	}, part)
	part = strings.ToLower(strings.TrimRight(part, " ."))
	return part == ".git" || part == "git~1"
}

// checkLink accepts what a link may say: the way to another place within the
// workspace, as short as it can be said. Its `..` are all at the beginning, so
// that no other link can turn them into a way out.
func checkLink(name, target string) error {
	to := path.Join(path.Dir(name), target)
	if target == "" || path.IsAbs(target) || path.Clean(target) != target || !fs.ValidPath(to) {
		return refused("%q links to %q, which is not within the workspace", name, target)
	}
	if to == "." {
		return nil
	}
	return checkName(to)
}
