package report

import (
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

// hostile draws text that wants to be markup. A Ж stands where it would show
// that it is.
func hostile(t *rapid.T, label string) string {
	bits := []string{
		"Ж", "`", "``", "```", "~~~", "|", `\`, `\|`, "<b>", "</pre>", "<!--", "@octocat", "#1", "GH-1", "[a](http://evil.example)", "![x](y)",
		"https://evil.example", "www.evil.example", "a@b.example", "\n", "\r\n", "\r", "\t", " ", "\n\n", "\n```\n", "* ", "# ", "> ", "---", "&amp;", "$x$",
		"\u202e", "\u2066", "\u200b", "\x00", "\x1b[31m", "\x1b]0;title\x07", "\x9b", "\xff", "名", "\U000e0041",
	}
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(bits), 0, 12).Draw(t, label), "")
}

// outside is Markdown without its fenced blocks and code spans, read as CommonMark
// and GitHub's tables do, and the number of cells of each of its table rows.
func outside(markdown string) (text string, cells []int) {
	var out strings.Builder
	fence := 0
	for line := range strings.Lines(markdown) {
		trimmed := strings.TrimRight(strings.TrimLeft(line, " "), "\n")
		run := len(trimmed) - len(strings.TrimLeft(trimmed, "`"))
		switch {
		case fence > 0 && run >= fence && strings.TrimSpace(trimmed[run:]) == "":
			fence = 0
		case fence > 0:
		case run >= 3 && !strings.Contains(trimmed[run:], "`"):
			fence = run
			out.WriteString(trimmed[run:] + "\n")
		case strings.HasPrefix(line, "|"):
			row := split(strings.TrimSuffix(trimmed, "|")[1:])
			cells = append(cells, len(row))
			for _, cell := range row {
				out.WriteString(spanless(strings.ReplaceAll(cell, `\|`, "|")) + "\n")
			}
		default:
			out.WriteString(spanless(line))
		}
	}
	if fence > 0 {
		out.WriteString("Ж: a fence is open")
	}
	return out.String(), cells
}

// split cuts a row at its bars; a backslash takes what follows with it.
func split(row string) (cells []string) {
	from := 0
	for i := 0; i < len(row); i++ {
		switch row[i] {
		case '\\':
			i++
		case '|':
			cells, from = append(cells, row[from:i]), i+1
		}
	}
	return append(cells, row[from:])
}

// spanless takes out code spans.
func spanless(s string) string {
	var out strings.Builder
	for s != "" {
		i := strings.IndexByte(s, '`')
		if i < 0 {
			break
		}
		out.WriteString(s[:i])
		n := len(s[i:]) - len(strings.TrimLeft(s[i:], "`"))
		rest := s[i+n:]
		end := closing(rest, n)
		if end < 0 {
			out.WriteString(s[i : i+n])
			s = rest
			continue
		}
		s = rest[end+n:]
	}
	return out.String() + s
}

// closing is where a row of exactly n backticks begins.
func closing(s string, n int) int {
	for i := 0; i < len(s); {
		if s[i] != '`' {
			i++
			continue
		}
		run := len(s[i:]) - len(strings.TrimLeft(s[i:], "`"))
		if run == n {
			return i
		}
		i += run
	}
	return -1
}

// unseen finds a character that should have been spelled out.
func unseen(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp)
	})
}

func TestNothingLeavesACodeSpan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := hostile(t, "text")
		row := "| " + code(s) + " | " + code(hostile(t, "more")) + " |\n"
		if text, cells := outside(row); strings.ContainsAny(text, "Ж<@#[`") || len(cells) != 1 || cells[0] != 2 || unseen(row) {
			t.Fatalf("%q became %q: %q is not in a span, %v cells", s, row, text, cells)
		}
	})
}

func TestNothingLeavesAFence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := hostile(t, "log") + "Ж" + hostile(t, "more")
		lines, _ := logLines(s, rapid.Bool().Draw(t, "cut"), 5)
		block := fenced(strings.Join(lines, "\n"))
		if text, _ := outside(block + "after\n"); text != "text\nafter\n" || unseen(block) {
			t.Fatalf("%q became %q: %q is not in it", s, block, text)
		}
	})
}

func TestTitlesAreLetters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if got := plainly(hostile(t, "title")); strings.ContainsAny(got, "`|\\<>@#[]!*&$~\n") || unseen(got) || strings.Contains(got, "www.") || strings.Contains(got, "://") {
			t.Fatalf("a title has %q", got)
		}
	})
}

// A token of a forge is nowhere, also where it is cut.
func TestTokensAreTakenOut(t *testing.T) {
	for _, token := range []string{
		"ghs_12345_eyJhbGciOi.JIUzI1NiJ9-x_y", "ghp_" + strings.Repeat("a", 36), "github_pat_" + strings.Repeat("b", 60),
		"glpat-" + strings.Repeat("c", 20), "whsec_" + strings.Repeat("d", 44),
	} {
		secret := token[len(token)-8:]
		for _, before := range []int{0, 10, maxInline - 10, maxLine - 10} {
			s := strings.Repeat("x", before) + " " + token
			lines, _ := logLines("first\n"+s+"\nlast", true, 5)
			half, _ := logLines(secret, true, 5)
			for _, got := range []string{code(s), plainly(s), strings.Join(lines, "\n"), strings.Join(half, "\n")} {
				if strings.Contains(got, secret) || strings.Contains(got, token[:12]) {
					t.Errorf("%q shows a part of %s", got, token)
				}
			}
		}
	}
}
