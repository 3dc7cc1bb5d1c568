package github

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/velocity-ci/velocity/app/forge"
	"pgregory.net/rapid"
)

func TestTextsHaveNoTokens(t *testing.T) {
	long := "ghs_12345_eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ" + strings.Repeat("x", 400) + ".sig-_nature"
	for _, token := range []string{
		long, "ghp_0123456789abcdefABCDEF0123456789abcd", "gho_a1", "ghu_a1", "ghr_a1", "github_pat_11AAA_bbb",
		"glpat-ab.cd-ef_01", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw=",
	} {
		if got := forge.Redact("before " + token + " after"); got != "before *** after" {
			t.Errorf("Redact(%.20s…) = %q", token, got)
		}
		if got := text(strings.Repeat("a", 100)+token, 150+len(tail)); strings.Contains(got, token[:5]) {
			t.Errorf("text cut %.20s… in half: %q", token, got)
		}
	}
	if got := forge.Redact("a\x00b\xffc"); got != "a\uFFFDb\uFFFDc" {
		t.Errorf("Redact of what is no text = %q", got)
	}
}

func TestTextKeepsItsLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOfN(rapid.RuneFrom([]rune("aé世\U0001F600`\n")), 0, 300, -1).Draw(t, "text")
		limit := rapid.IntRange(len(tail)+8, 200).Draw(t, "limit")
		got := text(s, limit)
		switch {
		case len(got) > limit:
			t.Fatalf("%d bytes; want at most %d", len(got), limit)
		case !utf8.ValidString(got):
			t.Fatalf("cut in a character: %q", got)
		case len(s) <= limit && got != s:
			t.Fatalf("a text that fits became %q", got)
		case len(s) > limit && !strings.HasSuffix(got, tail):
			t.Fatalf("nothing says that it was shortened: %q", got)
		}
	})
}

func TestTextClosesWhatWasQuoted(t *testing.T) {
	got := text("```\n"+strings.Repeat("x", 500), 200)
	if strings.Count(got, "```") != 2 {
		t.Errorf("the tail is in the quotation: %q", got)
	}
}

func TestLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOfN(rapid.RuneFrom([]rune("aé世\n ")), 0, 60, -1).Draw(t, "line")
		limit := rapid.IntRange(3, 40).Draw(t, "limit")
		got := line(s, limit)
		if len(got) > limit || !utf8.ValidString(got) || strings.Contains(got, "\n") {
			t.Fatalf("line(%q, %d) = %q", s, limit, got)
		}
	})
}
