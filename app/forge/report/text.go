package report

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// code makes a code span of a name or a reason. In a code span nothing is markup:
// no mention, no reference to an issue, no link, no HTML. It may stand in a table.
func code(s string) string {
	s = strings.Join(strings.Fields(visible(clip(redact(s), maxInline), "\n\t")), " ")
	if s == "" {
		return "–"
	}
	// A bar ends a cell even in a code span, unless a backslash escapes it; what
	// follows a backslash of the text's own cannot be escaped.
	s = bars.Replace(s)
	fence := strings.Repeat("`", longestRun(s)+1)
	if s[0] == '`' || s[len(s)-1] == '`' {
		s = " " + s + " "
	}
	return fence + s + fence
}

// maxInline bounds a name or reason within a line, in bytes.
const maxInline = 300

var bars = strings.NewReplacer(`\|`, `\¦`, `|`, `\|`)

// fenced makes a block of text that ends where we say and nowhere else.
func fenced(text string) string {
	fence := strings.Repeat("`", max(3, longestRun(text)+1))
	return fence + "text\n" + strings.TrimSuffix(text, "\n") + "\n" + fence + "\n"
}

// longestRun counts the backticks of the longest row of them.
func longestRun(s string) int {
	longest, run := 0, 0
	for i := range len(s) {
		if run++; s[i] != '`' {
			run = 0
		}
		longest = max(longest, run)
	}
	return longest
}

// visible spells out the characters that cannot be seen or that change how others
// are read, such as bidirectional overrides: U+202E. Those in but stay.
func visible(s, but string) string {
	if !strings.ContainsFunc(s, suspect) {
		return s
	}
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case strings.ContainsRune(but, r):
			b.WriteRune(r)
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp):
			fmt.Fprintf(&b, "<%U>", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// suspect finds what is not printable ASCII.
func suspect(r rune) bool { return r < ' ' || r > '~' }

// plainly is a name or reason within a title, which is no Markdown on the forges
// we know: it would be harmless on one where it is.
func plainly(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), unicode.IsMark(r), strings.ContainsRune(" ._/,()=+-:", r):
			return r
		}
		return '·'
	}, clip(strings.ReplaceAll(strings.ReplaceAll(redact(s), "://", ":··"), "www.", "www·"), 120))
}

// clip cuts a text to at most n bytes, not within a character, and says so.
func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	n -= len("…")
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// tokens of forges are known by how they begin. Secrets were masked by their values;
// these are of the kind that we hold ourselves.
var tokens = regexp.MustCompile(`(?:gh[opusr]_|github_pat_|gl(?:pat|dt|rt|ptt|cbt|ft|soat|agent|imt|ffct)-|whsec_)[A-Za-z0-9._+/=-]{8,}`)

// redact takes tokens out. It comes before anything is cut.
func redact(s string) string { return tokens.ReplaceAllString(s, "***") }

// Sequences that tell a terminal what to do: colours and cursors, titles, and what
// is left.
var sequences = regexp.MustCompile(`\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]`)

// logLines are the last lines of a log as they can be read without a terminal. cut
// tells that the log's beginning is not in text: its first line is left out then.
func logLines(text string, cut bool, most int) (lines []string, more bool) {
	text = redact(sequences.ReplaceAllString(strings.ToValidUTF8(text, "\uFFFD"), ""))
	if text = strings.TrimRight(text, "\r\n"); text == "" {
		return nil, false
	}
	lines = strings.Split(text, "\n")
	if cut { // also half a token would not be known for one
		lines[0] = "…"
	}
	if more = cut; len(lines) > most {
		lines, more = lines[len(lines)-most:], true
	}
	for i, line := range lines {
		line = strings.TrimRight(line, "\r")
		line = line[strings.LastIndexByte(line, '\r')+1:] // a progress bar leaves its last state
		lines[i] = clip(visible(line, "\t"), maxLine)
	}
	return lines, more
}

// maxLine bounds a line of a log that is shown, in bytes.
const maxLine = 400

// columns estimates how wide text is: what may be wide counts as two.
func columns(text string) (n int) {
	for _, r := range text {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	if r >= 0x1100 && (r < 0x2000 || r > 0x28ff) {
		return 2
	}
	return 1
}

// fit makes text exactly width columns wide, or one fewer where a wide character
// does not fit.
func fit(text string, width int) string {
	if columns(text) > width {
		n := 1 // the ellipsis
		for i, r := range text {
			if n += runeColumns(r); n > width {
				text = text[:i] + "…"
				break
			}
		}
	}
	return text + strings.Repeat(" ", max(0, width-columns(text)))
}
