package github

import (
	"strings"
	"unicode/utf8"

	"github.com/velocity-ci/velocity/app/forge"
)

// tail says that a text goes on elsewhere.
const tail = "\n\n… (shortened; the whole is on the build's page)"

// text cleans Markdown and shortens it to so many bytes, with a tail that says so.
func text(s string, limit int) string {
	s = forge.Redact(s)
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
	s = strings.Join(strings.Fields(forge.Redact(s)), " ")
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
