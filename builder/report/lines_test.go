package report

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/velocity-ci/velocity/architect/build"
)

func found(t *testing.T, text string, chunk int) []build.Finding {
	t.Helper()
	root, _ := workspace(t, map[string]string{"main.go": "", "src/app.ts": "", "src/main.rs": "", "lib/x.c": "", "a.sh": ""})
	places := NewPlaces(root.FS().(fs.StatFS), "/velocity_ci")
	var l Lines
	s := l.Stream()
	for text := []byte(text); len(text) > 0; {
		n := min(chunk, len(text))
		if _, err := s.Write(text[:n]); err != nil {
			t.Fatal(err)
		}
		text = text[n:]
	}
	return l.Findings(places)
}

const compilers = `# example.com/shop
./main.go:3:5: undefined: x
vet: ./main.go:7:1: expected declaration
/velocity_ci/main.go:9: something
In file included from lib/x.c:1:
lib/x.c:12:3: warning: unused variable 'y' [-Wunused-variable]
lib/x.c:13:1: fatal error: z.h: No such file or directory
src/app.ts(4,7): error TS2322: Type 'string' is not assignable.
lib/x.c(5): warning C4101: unreferenced
src/app.ts:9:10: error TS1005: ';' expected.` + "\r" + `
error[E0308]: mismatched types
  --> src/main.rs:2:5
   |
warning: unused import
  --> src/main.rs:1:5
a.sh:2:1: note: Double quote to prevent globbing [SC2086]
` + "\x1b[1m\x1b[31mmain.go:4:2:\x1b[0m coloured" + `
nowhere.go:1:1: not there
2026-11-23 10:11:12 main.go:5 is no place at a line's start
http://example.com:8080/main.go: nothing
main.go:3:5: undefined: x
12:34:56 started
`

func TestLines(t *testing.T) {
	want := []build.Finding{
		{File: "main.go", Line: 3, Column: 5, Level: "error", Message: "undefined: x"},
		{File: "main.go", Line: 7, Column: 1, Level: "error", Message: "expected declaration"},
		{File: "main.go", Line: 9, Level: "error", Message: "something"},
		{File: "lib/x.c", Line: 12, Column: 3, Level: "warning", Message: "unused variable 'y' [-Wunused-variable]"},
		{File: "lib/x.c", Line: 13, Column: 1, Level: "error", Message: "z.h: No such file or directory"},
		{File: "src/app.ts", Line: 4, Column: 7, Level: "error", Name: "TS2322", Message: "Type 'string' is not assignable."},
		{File: "lib/x.c", Line: 5, Level: "warning", Name: "C4101", Message: "unreferenced"},
		{File: "src/app.ts", Line: 9, Column: 10, Level: "error", Name: "TS1005", Message: "';' expected."},
		{File: "src/main.rs", Line: 2, Column: 5, Level: "error", Message: "[E0308]: mismatched types"},
		{File: "src/main.rs", Line: 1, Column: 5, Level: "warning", Message: "unused import"},
		{File: "a.sh", Line: 2, Column: 1, Level: "notice", Message: "Double quote to prevent globbing [SC2086]"},
		{File: "main.go", Line: 4, Column: 2, Level: "error", Message: "coloured"},
	}
	for i := range want {
		want[i].Kind = build.FromCompiler
	}
	want[8].Name, want[8].Message = "E0308", "mismatched types"
	if diff := cmp.Diff(want, found(t, compilers, len(compilers))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// However the output is cut into chunks, the same is found in it.
func TestLinesOfAnyChunks(t *testing.T) {
	text := compilers + strings.Repeat("x", 3*maxLine) + ":1:1: far\nmain.go:8:8: last\n"
	want := found(t, text, len(text))
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 200).Draw(rt, "chunk")
		if diff := cmp.Diff(want, found(t, text, n)); diff != "" {
			rt.Fatalf("in chunks of %d (-whole +chunks):\n%s", n, diff)
		}
	})
}

func BenchmarkLines(b *testing.B) {
	text := []byte(strings.Repeat("some output of a build that goes on and on, 17 of 99\n", 1<<14))
	b.SetBytes(int64(len(text)))
	var l Lines
	s := l.Stream()
	for b.Loop() {
		if _, err := s.Write(text); err != nil {
			b.Fatal(err)
		}
	}
}
