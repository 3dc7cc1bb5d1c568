package term

import (
	"strings"
	"unicode/utf8"

	"github.com/velocity-ci/velocity/architect/build"
)

const reset = "\x1b[0m"

// A style colours text, or leaves it alone if off.
type style struct{ on bool }

func (s style) paint(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + reset
}

func (s style) bold(text string) string { return s.paint("1", text) }
func (s style) dim(text string) string  { return s.paint("2", text) }

// state colours text by the state it tells about.
func (s style) state(st build.State, text string) string {
	switch st {
	case build.Succeeded:
		return s.paint("32", text)
	case build.Failed:
		return s.paint("31", text)
	case build.Building:
		return s.paint("33", text)
	}
	return s.dim(text)
}

var spinner = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

// icon is one column wide. frame turns the spinner.
func icon(st build.State, frame int) string {
	switch st {
	case build.Succeeded:
		return "✓"
	case build.Failed:
		return "✗"
	case build.Building:
		return spinner[frame%len(spinner)]
	}
	return "·"
}

// columns estimates how wide text is on a terminal. Too much is harmless, too
// little would wrap a line: whatever may be wide counts as two.
func columns(text string) int {
	n := 0
	for _, r := range text {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	if r >= 0x1100 && (r < 0x2000 || r > 0x28ff) { // the icons are in between
		return 2
	}
	return 1
}

// fit cuts text, which has no colours, to at most width columns.
func fit(text string, width int) string {
	if columns(text) <= width {
		return text
	}
	n := 1 // the ellipsis
	for i, r := range text {
		if n += runeColumns(r); n > width {
			return text[:i] + "…"
		}
	}
	return text
}

// pad fills text up to width columns.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-columns(text)))
}

// firstLine is what of a longer text fits beside other things.
func firstLine(s string) string {
	line, _, more := strings.Cut(strings.TrimSpace(s), "\n")
	if !utf8.ValidString(line) {
		line = strings.ToValidUTF8(line, "?")
	}
	if more {
		line += " …"
	}
	return Clean(line)
}
