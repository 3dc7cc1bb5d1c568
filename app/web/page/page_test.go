package page

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSpans(t *testing.T) {
	for line, want := range map[string][]Span{
		"":                         nil,
		"plain <b>":                {{"", "plain <b>"}},
		"\x1b[1;31mred\x1b[0m not": {{"b f1", "red"}, {"", " not"}},
		"\x1b[mplain":              {{"", "plain"}},
		"\x1b[91;104mbright":       {{"f9 g12", "bright"}},
		"\x1b[2;3;4;7;9mall\x1b[22;23;24;27;29mnone": {{"d i u v s", "all"}, {"", "none"}},
		"\x1b[38;5;9mx":                {{"f9", "x"}},
		"\x1b[38;5;46mx":               {{"f10", "x"}},
		"\x1b[48;2;0;0;200mx":          {{"g12", "x"}},
		"\x1b[38;5;240mx\x1b[39my":     {{"f8", "x"}, {"", "y"}},
		"\x1b[38;5mx":                  {{"", "x"}},
		"\x1b[38;9;9;9mx":              {{"", "x"}},
		"\x1b[99999999999999999999mx":  {{"", "x"}},
		"a\x1b[2Jb\x1b[10;10Hc":        {{"", "abc"}},
		"a\x1b]0;title\x07b":           {{"", "ab"}},
		"a\x1b]8;;http://x\x1b\\link":  {{"", "alink"}},
		"a\x1bPq#0\x1b\\b":             {{"", "ab"}},
		"a\x1b[31":                     {{"", "a"}},
		"a\u009b31mb\u0085c":           {{"", "a31mbc"}},
		"a\x00\x07\x08b\tc":            {{"", "ab\tc"}},
		"10%\r50%\r100%\r":             {{"", "100%"}},
		"\x1b[31m10%\rdone":            {{"", "done"}},
		"a\u202eb":                     {{"", "a"}, {"cp", "U+202E"}, {"", "b"}},
		"\u2066\ufeff\u2028\U000e0041": {{"cp", "U+2066"}, {"cp", "U+FEFF"}, {"cp", "U+2028"}, {"cp", "U+E0041"}},
		"👩\u200d🔬":                     {{"", "👩\u200d🔬"}},
		"bad \xff\xfe":                 {{"", "bad \ufffd\ufffd"}},
	} {
		if diff := cmp.Diff(want, Spans([]byte(line))); diff != "" {
			t.Errorf("Spans(%q): %s", line, diff)
		}
	}
}

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"plain\n\ttext": "plain\n\ttext", "a\u202eb": "aU+202Eb", "a\x1b[31mb\x00": "a[31mb", "x\u0085\u009b": "x",
		"\xff": "\ufffd", "\u2029\U000e0001": "U+2029U+E0001", "a\u200db": "a\u200db",
	} {
		if got := string(visible([]byte(text))); got != want {
			t.Errorf("visible(%q) = %q; want %q", text, got, want)
		}
	}
}

// Whatever a program prints, nothing of it is lost but what is no text, and no span
// holds what a browser or a terminal would act on.
func FuzzSpans(f *testing.F) {
	for _, seed := range []string{"\x1b[1;31mred\x1b[0m", "\x1b]0;x\x07y", "\u202e", "a\rb", "\x1b[38;5;1m\xff\u009b"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		spans := Spans(line)
		for _, s := range spans {
			if s.Text == "" || strings.ContainsFunc(s.Text, func(r rune) bool { return control(r) || hidden(r) }) {
				t.Fatalf("%q has the span %q", line, s.Text)
			}
			if strings.Trim(s.Class, "abcdefghijklmnopqrstuvwxyz0123456789 ") != "" {
				t.Fatalf("%q has the class %q", line, s.Class)
			}
		}
		if !strings.ContainsAny(string(line), "\x1b\r") {
			if got, want := plain(spans), string(visible(line)); got != want {
				t.Fatalf("%q has the text %q; want %q", line, got, want)
			}
		}
	})
}
