package github

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// mark stands where a token was.
const mark = "***"

// tail says that a text goes on elsewhere.
const tail = "\n\n… (shortened; the whole is on the build's page)"

// tokens finds credentials of forges. GitHub's newest installation tokens are of
// about 520 characters with dots and dashes, and what follows the first of those
// is as secret as what precedes it.
var tokens = regexp.MustCompile(`ghs_[A-Za-z0-9._-]+|gh[opur]_[A-Za-z0-9]+|github_pat_[A-Za-z0-9_]+|glpat-[A-Za-z0-9._-]+|whsec_[A-Za-z0-9+/=_-]+`)

// clean takes tokens out of a text, and what is no text. It comes before any
// shortening: half a token would not be found.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	return tokens.ReplaceAllString(s, mark)
}

// text cleans Markdown and shortens it to so many bytes, with a tail that says so.
func text(s string, limit int) string {
	s = clean(s)
	if len(s) <= limit {
		return s
	}
	const fence = "\n```"
	s = cut(s, limit-len(tail)-len(fence))
	if strings.Count(s, "```")%2 == 1 { // the tail is not part of what was quoted
		s += fence
	}
	return s + tail
}

// line cleans what stands on one line, and shortens it to so many bytes.
func line(s string, limit int) string {
	s = strings.Join(strings.Fields(clean(s)), " ")
	if len(s) <= limit {
		return s
	}
	return cut(s, limit-len("…")) + "…"
}

// cut keeps at most so many bytes of s, and no half character.
func cut(s string, limit int) string {
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
