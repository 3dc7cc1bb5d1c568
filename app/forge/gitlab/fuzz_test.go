package gitlab

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzTame(f *testing.F) {
	f.Add("a\n/close\r\n> /merge @all <!-- velocity -->")
	f.Add("```\n\xff/\x00approve")
	commands := regexp.MustCompile(`(?m)^[ \t>]*/`)
	f.Fuzz(func(t *testing.T, text string) {
		got := tame(text)
		if at := commands.FindString(got); at != "" || strings.Contains(got, "<!--") || !utf8.ValidString(got) {
			t.Errorf("tame(%q) = %q", text, got)
		}
		for rest := got; strings.Contains(rest, "@"); {
			if _, rest, _ = strings.Cut(rest, "@"); !strings.HasPrefix(rest, "\u200b") {
				t.Errorf("tame(%q) = %q calls somebody", text, got)
			}
		}
	})
}

func FuzzSaid(f *testing.F) {
	f.Add([]byte(`{"message":{"name":["is too long",["x"]]},"error":"e","error_description":"d"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if got := said(body); len(got) > maxReason || !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\x00") {
			t.Errorf("said(%q) = %q", body, got)
		}
	})
}
