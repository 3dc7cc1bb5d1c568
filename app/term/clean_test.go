package term

import (
	"bytes"
	"testing"
	"time"
)

func TestAppendClean(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain text\twith a tab", "plain text\twith a tab"},
		{"ünïcödé © 漢字", "ünïcödé © 漢字"},
		{"\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m" + reset},
		{"\x1b[38;5;1mred", "\x1b[38;5;1mred" + reset},
		{"a\x1b[2Jb\x1b[10;10Hc\x1b[1Ad", "abcd"},
		{"a\x1b]0;title\x07b", "ab"},
		{"a\x1b]8;;http://x\x1b\\link", "alink"},
		{"a\x1b]52;c;never ends", "a"},
		{"a\x1bPdevice\x1b\\b", "ab"},
		{"a\x1b(Bb\x1bcd", "abd"},
		{"a\x1b[>4;1mb", "ab"},
		{"a\x1b[", "a"},
		{"a\x1b", "a"},
		{"bell\a back\b del\x7f nul\x00", "bell back del nul"},
		{"c1 \u009b31m\u0085", "c1 31m"},
		{"10%\r50%\r100%", "100%"},
		{"windows\r", "windows"},
		{"cut \xc2", "cut ?"},
	} {
		if got := string(appendClean(nil, []byte(c.in), true)); got != c.want {
			t.Errorf("appendClean(%q) = %q; want %q", c.in, got, c.want)
		}
	}
	if got := string(appendClean([]byte("> "), []byte("\x1b[31mred\x1b[0m\rx"), false)); got != "> x" {
		t.Errorf("without colours, after a prefix: %q; want %q", got, "> x")
	}
	if got := Clean("two\nlines\x1b[1m"); got != "two lines" {
		t.Errorf("Clean = %q; want one line without colours", got)
	}
}

// Whatever a program prints, nothing but colours is left that a terminal would
// act upon, and cleaning what is clean changes nothing.
func FuzzAppendClean(f *testing.F) {
	for _, s := range []string{"a\x1b[31mb", "\x1b]0;t\a", "\xc2\x9b1A", "\x1b\x1b[1A", "\x1b[1\x1b[2Jm", "\xc2\x1b[m\x9b", "a\rb"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		line = bytes.ReplaceAll(line, []byte("\n"), nil)
		bare := appendClean(nil, line, false)
		for _, r := range string(bare) {
			if r < 0x20 && r != '\t' || r >= 0x7f && r <= 0x9f {
				t.Errorf("appendClean(%q) = %q, which has the control character %U", line, bare, r)
			}
		}
		coloured := appendClean(nil, line, true)
		for rest := coloured; ; {
			i := bytes.IndexByte(rest, 0x1b)
			if i < 0 {
				break
			}
			n := Sequence(rest[i:])
			if !colour(rest[i : i+n]) {
				t.Fatalf("appendClean(%q) = %q: %q is left", line, coloured, rest[i:i+n])
			}
			rest = rest[i+n:]
		}
	})
}

func TestDuration(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want string
	}{
		{-time.Second, "0ms"},
		{0, "0ms"},
		{35*time.Millisecond + 900*time.Microsecond, "35ms"},
		{time.Second, "1.0s"},
		{3200 * time.Millisecond, "3.2s"},
		{59_940 * time.Millisecond, "59.9s"},
		{59_960 * time.Millisecond, "1m00s"},
		{192 * time.Second, "3m12s"},
		{time.Hour - time.Millisecond, "1h00m"},
		{64 * time.Minute, "1h04m"},
	} {
		if got := Duration(c.d); got != c.want {
			t.Errorf("Duration(%v) = %q; want %q", c.d, got, c.want)
		}
	}
}

func TestBytesText(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 56_700: "56.7 kB", 999_999: "1.0 MB", 1 << 30: "1.1 GB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q; want %q", n, got, want)
		}
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		in    string
		width int
		want  string
	}{
		{"short", 5, "short"},
		{"longer", 5, "long…"},
		{"漢字漢字", 5, "漢字…"},
		{"x", 0, "…"},
	} {
		if got := fit(c.in, c.width); got != c.want {
			t.Errorf("fit(%q, %d) = %q; want %q", c.in, c.width, got, c.want)
		}
	}
}
