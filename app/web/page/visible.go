package page

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// visible makes text show what is in it: characters that have no form of their own,
// but reorder or hide others, become their code points, controls go, and what is no
// UTF-8 becomes U+FFFD. Markup of ours holds none of these.
func visible(text []byte) []byte {
	if !bytes.ContainsFunc(text, suspect) {
		return text
	}
	var out []byte
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case hidden(r):
			out = append(out, codePoint(r)...)
		case !control(r):
			out = utf8.AppendRune(out, r)
		}
		text = text[n:]
	}
	return out
}

// Visible is text as pages show it.
func Visible(text string) string { return string(visible([]byte(text))) }

func suspect(r rune) bool { return r == utf8.RuneError || control(r) || hidden(r) }

// control reports what only machines act on. Tabs and ends of lines are text.
func control(r rune) bool { return unicode.Is(unicode.Cc, r) && r != '\n' && r != '\t' }

// hidden reports what changes how other characters are shown and cannot be seen
// itself: controls of direction, tags, separators, invisible operators. Joiners are
// parts of words and of emoji.
func hidden(r rune) bool {
	switch r {
	case '\u200c', '\u200d', '\u00ad':
		return false
	case '\u2028', '\u2029':
		return true
	}
	return unicode.Is(unicode.Cf, r)
}

// codePoint is how a hidden character is written: U+202E.
func codePoint(r rune) string { return fmt.Sprintf("U+%04X", r) }
