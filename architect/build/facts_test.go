package build

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestFailingTestsComeFirst(t *testing.T) {
	got := Bounded([]Finding{
		{Name: "e", Kind: FromTest, Level: "shout"}, {Name: "d", Kind: FromSARIF, Level: LevelNotice},
		{Name: "c", Kind: FromTest, Level: LevelWarning}, {Name: "b1", Kind: FromSARIF, Level: LevelError},
		{Name: "a", Kind: FromTest, Level: LevelError}, {Name: "b2", Kind: FromCompiler, Level: LevelError},
	})
	order := ""
	for _, f := range got {
		order += f.Name + " "
	}
	if want := "a b1 b2 c d e "; order != want {
		t.Errorf("Bounded puts them as %s; want %s", order, want)
	}
}

func TestFindingsAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.Custom(func(t *rapid.T) string {
			return strings.Repeat(rapid.String().Draw(t, "text"), rapid.SampledFrom([]int{1, 100, 3000}).Draw(t, "times"))
		})
		f := Finding{Name: text.Draw(t, "name"), File: text.Draw(t, "file"), Message: text.Draw(t, "message")}
		got := Bounded([]Finding{f})[0]
		if n := len(got.Name) + len(got.File) + len(got.Message); n > MaxFindingBytes || !utf8.ValidString(got.Name+got.File+got.Message) {
			t.Fatalf("%d bytes are kept, valid or not: %+v", n, got)
		}
		if len(f.Name)+len(f.File)+len(f.Message) < MaxFindingBytes/4 && got != f {
			t.Fatalf("a short finding was changed: %+v to %+v", f, got)
		}
	})
	many := make([]Finding, MaxFindings+1)
	if got := Bounded(many); len(got) != MaxFindings {
		t.Errorf("Bounded keeps %d of %d", len(got), len(many))
	}
}

func TestArtifactsAreBounded(t *testing.T) {
	var many, long []Artifact
	for i := range MaxArtifacts + 1 {
		many = append(many, Artifact{Name: fmt.Sprint(i)})
		long = append(long, Artifact{Name: strings.Repeat("x", 4096)})
	}
	if got := Listed(many); len(got) != MaxArtifacts {
		t.Errorf("Listed keeps %d of %d", len(got), len(many))
	}
	if got := Listed(long); len(got)*4096 != MaxArtifactBytes {
		t.Errorf("Listed keeps %d names of 4 KiB", len(got))
	}
	if got := Listed(many[:3]); len(got) != 3 {
		t.Errorf("Listed keeps %d of 3", len(got))
	}
}
