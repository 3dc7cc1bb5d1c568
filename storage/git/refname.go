package git

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxRefName is the longest ref name in bytes that we write; with ".lock" a
// component of it still fits every file system's 255.
const maxRefName = 240

// checkRefName is the grammar of names we write, stricter than git's, which
// takes options (-x), markup and text direction overrides: at least three
// components below refs/, each of letters, marks, digits and . _ + = @ # -, not
// starting with one of ".-" and not ending in "." or ".lock".
func checkRefName(name string) error {
	fail := func(why string) error { return fmt.Errorf("%.80q is not a ref name we write: %s", name, why) }
	if len(name) > maxRefName || !utf8.ValidString(name) {
		return fail("too long, or not UTF-8")
	}
	parts := strings.Split(name, "/")
	if len(parts) < 3 || parts[0] != "refs" {
		return fail("want refs/<kind>/<name>")
	}
	for _, part := range parts {
		switch {
		case part == "":
			return fail("empty component")
		case strings.ContainsRune(".-", rune(part[0])):
			return fail("a component starts with . or -")
		case strings.HasSuffix(part, "."), strings.HasSuffix(part, ".lock"):
			return fail("a component ends in . or .lock")
		case strings.Contains(part, ".."), strings.Contains(part, "@{"):
			return fail("contains .. or @{")
		case strings.IndexFunc(part, func(r rune) bool { return !refRune(r) }) >= 0:
			return fail("contains a character that is not a letter, digit or one of ._+=@#-")
		}
	}
	return nil
}

func refRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r) || strings.ContainsRune("._+=@#-", r)
}

// readableRef accepts every name that git itself would create below refs/, for
// reading: none of them leads out of the folder. It is git's check-ref-format.
func readableRef(name string) bool {
	if !strings.HasPrefix(name, "refs/") || strings.HasSuffix(name, ".") ||
		strings.Contains(name, "..") || strings.Contains(name, "@{") ||
		strings.ContainsAny(name, " ~^:?*[\\\x7f") || strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 }) {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return true
}
