package host

import (
	"slices"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/builder/executor"
)

func TestMarksAreReadBack(t *testing.T) {
	for _, builder := range []string{"local", "a/b", "a@b#c"} {
		owner := executor.Owner{Builder: builder, Build: "k3f9a2-1234", Task: "s0t1", Attempt: 2}
		mark := newMark(owner)
		b, o, process, ok := parseMark(mark)
		if b != builder || o != owner.String() || process != self() || !ok {
			t.Errorf("parseMark(%q) = %q, %q, %q, %v", mark, b, o, process, ok)
		}
		environ := "A=1\x00" + markName + "=x " + mark + "\x00B=2\x00"
		if got := marksOf([]byte(environ)); !slices.Equal(got, []string{"x", mark}) {
			t.Errorf("marksOf(%q) = %q", environ, got)
		}
	}
}

func FuzzMarks(f *testing.F) {
	f.Add([]byte(markName + "=a/b/c/1@2.3#4 x@y#z\x00"))
	f.Add([]byte(markName + "=#@\x00"))
	f.Add([]byte("\x00\x00="))
	f.Fuzz(func(t *testing.T, environ []byte) {
		for _, word := range marksOf(environ) {
			builder, owner, process, ok := parseMark(word)
			if ok && (!strings.HasPrefix(owner, builder+"/") || !strings.HasPrefix(word, owner+"@"+process+"#")) {
				t.Errorf("parseMark(%q) = %q, %q, %q", word, builder, owner, process)
			}
		}
	})
}
