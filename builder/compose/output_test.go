package compose

import (
	"bytes"
	"io"
	"testing"

	"pgregory.net/rapid"

	"github.com/velocity-ci/velocity/builder/executor"
)

// However the plugin's output is cut into pieces, each container gets its own
// lines, and what only looks like another's prefix is nobody's.
func TestOutput(t *testing.T) {
	const said = "Attaching to a-1, b-1\na-1  | one\nb-1  | \nb-1  | a-1  | not mine\nz-1  | whose\na-1  | last"
	rapid.Check(t, func(rt *rapid.T) {
		got := map[string]*bytes.Buffer{}
		var rest bytes.Buffer
		out := newOutput([]container{{"a-1", "a"}, {"b-1", "b"}}, executor.Project{
			Stdout: &rest, Stderr: io.Discard,
			Stream: func(name string) io.Writer { got[name] = new(bytes.Buffer); return got[name] },
		})
		for left := said; left != ""; {
			n := rapid.IntRange(1, len(left)).Draw(rt, "piece")
			if _, err := io.WriteString(out.stdout, left[:n]); err != nil {
				rt.Fatal(err)
			}
			left = left[n:]
		}
		out.close()
		if a, b := got["a"].String(), got["b"].String(); a != "one\nlast" || b != "\na-1  | not mine\n" || rest.String() != "Attaching to a-1, b-1\nz-1  | whose\n" {
			rt.Errorf("a got %q, b %q, nobody %q", a, b, &rest)
		}
	})
}

// A line without an end is not held for ever, and all of it goes to one place.
func TestLongLine(t *testing.T) {
	var a, rest bytes.Buffer
	out := newOutput([]container{{"a-1", "a"}}, executor.Project{Stdout: &rest, Stderr: io.Discard, Stream: func(string) io.Writer { return &a }})
	_, _ = io.WriteString(out.stdout, "a-1  | ")
	for range 3 * maxLine / 1000 {
		_, _ = out.stdout.Write(bytes.Repeat([]byte{'x'}, 1000))
	}
	_, _ = io.WriteString(out.stdout, "\nmine\n")
	out.close()
	if want := 3*maxLine/1000*1000 + 1; a.Len() != want || rest.String() != "mine\n" {
		t.Errorf("a got %d bytes, want %d; nobody %q", a.Len(), want, &rest)
	}
}

func TestNewEnough(t *testing.T) {
	for version, want := range map[string]bool{"2.20.0": true, "v2.40.3": true, "5.0.1": true, "dev": true, "2.19.9": false, "1.29.2": false, "": false, "x.y": false} {
		if got := newEnough(version); got != want {
			t.Errorf("newEnough(%q) = %v", version, got)
		}
	}
}
