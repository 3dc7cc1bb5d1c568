package forge

import (
	"regexp"
	"strings"
)

// tokens finds credentials of forges. GitHub's newest installation tokens are of
// about 520 characters with dots and dashes, and what follows the first of those is
// as secret as what precedes it; GitLab's newest have a dot, too.
var tokens = regexp.MustCompile(`ghs_[A-Za-z0-9._-]+|gh[opur]_[A-Za-z0-9]+|github_pat_[A-Za-z0-9_]+|gl(?:pat|oas|dt|rtr?|cbt|ptt|ft|imt|agent|soat|ffct|wt)-[A-Za-z0-9._-]{8,}|whsec_[A-Za-z0-9+/=_-]+`)

// Redact takes what looks like a forge's credential out of a text that is about to
// be shown there, and bytes that are no text. It comes before any shortening: half
// a token would not be found.
func Redact(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	return tokens.ReplaceAllString(s, "***")
}
