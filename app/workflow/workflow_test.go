package workflow_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/workflow"
	"github.com/velocity-ci/velocity/app/workflow/runnertest"
)

// hostile are lines with which a repository or a program would speak to the runner.
var hostile = []string{
	"::set-output name=x::y", "  ::error::gotcha", "\u00a0::warning file=a::b", "::stop-commands::mine", "::mine::",
	"::add-mask::e", "::endgroup::", "::ENDGROUP::", "::save-state name=a::b", "::set-env name=PATH::/tmp", "::add-path::/tmp",
	"##[endgroup]", "text ##[group]mine", "##[stop-commands]mine", "##[error]red", "##\u200d[error]red", "#\u00ad#[section]x",
	"\u200d::error::unseen", ":\u00ad:error::unseen", "50%\r::error::gotcha\r", "\x1b[0m::error::gotcha", "#\x1b[31m#[error]x",
	"::\x00error::x", "\v::debug::x", "%0A::error::x", "\x9b::error::x", "\u2028::error::x", "\ufeff::error::x",
}

func TestHostileLog(t *testing.T) {
	var out strings.Builder
	w := workflow.New(&out)
	w.Group("log")
	if err := w.Log(strings.NewReader(strings.Join(hostile, "\n"))); err != nil {
		t.Fatal(err)
	}
	w.EndGroup()
	w.Mask("after the log")
	log := runnertest.Read(out.String())
	var names []string
	for _, c := range log.Commands {
		names = append(names, c.Name)
	}
	if diff := cmp.Diff([]string{"group", "endgroup", "add-mask"}, names); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
	if len(log.Painted) > 0 || log.Stopped || log.Open != "" {
		t.Errorf("painted %q, stopped %v, open %q", log.Painted, log.Stopped, log.Open)
	}
	if in := log.In("log"); strings.Count(in, "\n") < len(hostile) || !strings.Contains(in, "::set-output name=x::y") {
		t.Errorf("the log is shown as %q", in)
	}
}

// The token differs from log to log: what was read in one resumes no other.
func TestTokensDiffer(t *testing.T) {
	var first, second strings.Builder
	if err := workflow.New(&first).Log(strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	_, token, _ := strings.Cut(strings.SplitN(first.String(), "\n", 2)[0], "stop-commands::")
	if len(token) < 26 {
		t.Errorf("the token %q could be guessed", token)
	}
	if err := workflow.New(&second).Log(strings.NewReader("::" + token + "::\n::error::x\n")); err != nil {
		t.Fatal(err)
	}
	if c := runnertest.Read(second.String()).Commands; len(c) > 0 {
		t.Errorf("commands %v", c)
	}
}

func TestLinesAreNoCommands(t *testing.T) {
	piece := rapid.OneOf(rapid.SampledFrom(hostile), rapid.SampledFrom([]string{":", "#", "[", "]", "group", "error", " ", "\n", "\u200d"}), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(piece, 1, 6).Draw(t, "text"), "")
		var out strings.Builder
		workflow.New(&out).Line(text)
		log := runnertest.Read(out.String())
		if len(log.Commands)+len(log.Painted) > 0 || log.Stopped || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("Line(%q) printed %q: %+v", text, out.String(), log)
		}
	})
}

// What a runner reads of an annotation is what was said, but for blanks and equals
// signs around a property.
func FuzzAnnotate(f *testing.F) {
	f.Add("a.go", "title, with: all=of % %0A\r\n", "message ::error:: %25\n")
	f.Add("C::a.go", "a::b, c: d", "x::y")
	f.Add(" =", "##[error]", "\r")
	f.Fuzz(func(t *testing.T, file, title, message string) {
		var out strings.Builder
		w := workflow.New(&out)
		w.Annotate(forge.Annotation{Path: file, Line: 3, EndLine: 5, Column: 2, Level: "failure", Title: title, Message: message})
		w.Line("next")
		log := runnertest.Read(out.String())
		if !printable(file + title + message) { // the reader leaves out more than runners do
			return
		}
		want := map[string]string{"file": trimmed(file), "title": trimmed(title), "line": "3", "endLine": "5", "col": "2"}
		for key, value := range want {
			if value == "" || file == "" && key != "title" {
				delete(want, key)
			}
		}
		if len(log.Commands) != 1 || len(log.Texts) != 1 || log.Commands[0].Name != "error" || log.Commands[0].Data != message {
			t.Fatalf("%q is read as %+v", out.String(), log)
		}
		if diff := cmp.Diff(want, log.Commands[0].Properties); diff != "" {
			t.Errorf("%q has properties (-want +got):\n%s", out.String(), diff)
		}
	})
}

func trimmed(s string) string { return strings.TrimRight(strings.TrimLeft(s, "= \t\r\n"), " \t\r\n") }

func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r != '\r' && r != '\n' && r != '\t' && (r < ' ' || r > '~') }) < 0
}

func TestAnnotationsAreLimited(t *testing.T) {
	var out strings.Builder
	w := workflow.New(&out)
	shown := 0
	for i := range 3 * workflow.MaxAnnotations {
		if w.Annotate(forge.Annotation{Path: "a", Line: i + 1, Level: "warning", Message: "x"}) {
			shown++
		}
	}
	if w.Annotate(forge.Annotation{Level: "failure", Message: "x"}) {
		shown++
	}
	log := runnertest.Read(out.String())
	if shown != 11 || len(log.All("warning")) != 10 || len(log.All("error")) != 1 {
		t.Errorf("%d are said to be shown; there are %v", shown, log.Commands)
	}
}

func TestMask(t *testing.T) {
	for value, want := range map[string][]string{
		"hunter2-hunter2":           {"hunter2-hunter2"},
		" padded-secret\n":          {"padded-secret"},
		"100%-of-it":                {"100%-of-it"},
		"short":                     nil,
		"line-one-1\nx\nline-two-2": {"line-one-1\nx\nline-two-2", "line-one-1", "line-two-2"},
		"::error::not-a-command":    {"::error::not-a-command"},
	} {
		var out strings.Builder
		workflow.New(&out).Mask(value)
		log, got := runnertest.Read(out.String()), []string(nil)
		for _, c := range log.All("add-mask") {
			got = append(got, c.Data)
		}
		if diff := cmp.Diff(want, got); diff != "" || len(log.Texts) > 0 {
			t.Errorf("Mask(%q) (-want +got):\n%s\nprinted %q", value, diff, out.String())
		}
	}
}

func FuzzOutput(f *testing.F) {
	f.Add("succeeded")
	f.Add("a\nEOF\nother<<EOF\n")
	f.Fuzz(func(t *testing.T, value string) {
		all, err := runnertest.Outputs(workflow.Output("one", value) + workflow.Output("two", "2"))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]string{"one": value, "two": "2"}, all); diff != "" {
			t.Errorf("outputs (-want +got):\n%s", diff)
		}
	})
}

func TestBrokenLog(t *testing.T) {
	var out strings.Builder
	broken := errors.New("disk on fire")
	err := workflow.New(&out).Log(iotest.TimeoutReader(strings.NewReader("line\n")))
	if err == nil {
		t.Error("Log of what cannot be read told nothing")
	}
	err = workflow.New(&out).Log(iotest.ErrReader(broken))
	if !errors.Is(err, broken) || runnertest.Read(out.String()).Stopped {
		t.Errorf("Log = %v; printed %q", err, out.String())
	}
}

func TestLongLinesAreBroken(t *testing.T) {
	var out strings.Builder
	if err := workflow.New(&out).Log(strings.NewReader(strings.Repeat("x", 200_000) + "##[error]")); err != nil {
		t.Fatal(err)
	}
	log, whole := runnertest.Read(out.String()), 0
	for _, line := range log.Texts {
		whole += strings.Count(line.Text, "x")
	}
	if whole != 200_000 || len(log.Texts) < 3 || len(log.Commands)+len(log.Painted) > 0 {
		t.Errorf("%s", fmt.Sprint(whole, len(log.Texts), log.Commands, log.Painted))
	}
}
