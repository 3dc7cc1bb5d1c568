package docker

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestInitFailure(t *testing.T) {
	const line = "[FATAL tini (7)] exec nope failed: No such file or directory\n"
	for _, c := range []struct {
		stdout string
		stderr []string
		want   bool
	}{
		{"", []string{line}, true},
		{"", []string{line[:5], line[5:]}, true},
		{"hello", []string{line}, false},
		{"", []string{line, "more"}, false},
		{"", []string{"before\n", line}, false},
		{"", []string{strings.Replace(line, "nope", "other", 1)}, false},
		{"", []string{strings.Repeat("x", initLine+1)}, false},
		{"", nil, false},
	} {
		out := newOutput(io.Discard, io.Discard)
		_, _ = io.WriteString(stdoutOf{out}, c.stdout)
		if c.stdout == "" {
			out.other = false
		}
		for _, s := range c.stderr {
			_, _ = io.WriteString(stderrOf{out}, s)
		}
		reason, ok := out.initFailure("nope")
		if ok != c.want || ok && reason != "No such file or directory" {
			t.Errorf("initFailure after %q, %q = %q, %v, want %v", c.stdout, c.stderr, reason, ok, c.want)
		}
	}
}

func FuzzInitFailure(f *testing.F) {
	f.Add([]byte("[FATAL tini (7)] exec nope failed: No such file or directory\n"), "nope")
	f.Add([]byte("[FATAL tini (7)] exec a)] exec a failed: b failed: c\n"), "a")
	f.Add([]byte("[FATAL tini (\n"), "")
	f.Fuzz(func(t *testing.T, line []byte, program string) {
		reason, ok := (&output{first: line}).initFailure(program)
		if end := fmt.Sprintf(")] exec %s failed: %s\n", program, reason); ok && !strings.HasSuffix(string(line), end) {
			t.Errorf("initFailure(%q) found %q in %q", program, reason, line)
		}
	})
}
