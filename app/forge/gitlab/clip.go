package gitlab

import (
	"strings"
	"unicode/utf8"

	"github.com/velocity-ci/velocity/app/forge"
)

// line takes tokens out of what stands on one line, and shortens it to so many bytes.
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
