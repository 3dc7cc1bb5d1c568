package report

import (
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
)

// MaxAnnotations bounds the annotations of a check: each fifty are a request.
const MaxAnnotations = 1000

// annotations are the findings of tasks that have a place in the repository, each
// once: the tasks of a matrix find the same.
func annotations(all []*build.Task) (notes []forge.Annotation) {
	seen := map[build.Finding]bool{}
	for _, t := range all {
		for _, f := range t.Findings {
			if seen[f] {
				continue
			}
			seen[f] = true
			note, ok := annotation(t, f)
			if !ok {
				continue
			}
			if notes = append(notes, note); len(notes) == MaxAnnotations {
				return notes
			}
		}
	}
	return notes
}

func annotation(t *build.Task, f build.Finding) (forge.Annotation, bool) {
	file, ok := inRepository(f.File)
	line := max(f.Line, 1)
	a := forge.Annotation{
		Path: file, Line: line, EndLine: line, Level: level(f.Level),
		Title: visible(redact(f.Name), ""), Message: visible(redact(f.Message), "\n\t"),
	}
	if f.Line > 0 {
		a.Column = max(f.Column, 0)
	}
	if t.MayFail && a.Level == "failure" {
		a.Level = "warning"
	}
	if f.Flaky {
		a.Title = strings.TrimSpace(a.Title + " (flaky)")
	}
	if strings.TrimSpace(a.Title) == "" {
		a.Title = strings.TrimSpace("Task " + visible(t.Name, ""))
	}
	if strings.TrimSpace(a.Message) == "" {
		a.Message = a.Title
	}
	return a, ok
}

// level is a finding's in the words of GitHub.
func level(l string) string {
	switch l {
	case build.LevelError:
		return "failure"
	case build.LevelWarning:
		return "warning"
	}
	return "notice"
}

// inRepository makes a file's name relative to the top of the repository. ok is
// false if it is not within it.
func inRepository(file string) (name string, ok bool) {
	name = path.Clean(strings.ReplaceAll(file, `\`, "/"))
	if file == "" || name == "." || name == ".." || path.IsAbs(name) || strings.HasPrefix(name, "../") {
		return "", false
	}
	return name, visible(name, "") == name
}

// A problem stands at the beginning of a line, as compilers write it.
var problem = regexp.MustCompile(`^(?:configuration: )?([^\s:][^:]*):([1-9][0-9]{0,8}):(?:([1-9][0-9]{0,8}):)? (?:error|warning): (.+)$`)

// problems are the places that the refusal to draw a plan names.
func problems(reason string) (notes []forge.Annotation) {
	for text := range strings.Lines(reason) {
		m := problem.FindStringSubmatch(strings.TrimRight(text, "\n"))
		if m == nil {
			continue
		}
		file, ok := inRepository(m[1])
		line, _ := strconv.Atoi(m[2])
		column, _ := strconv.Atoi(m[3])
		if ok && len(notes) < MaxAnnotations {
			notes = append(notes, forge.Annotation{
				Path: file, Line: line, EndLine: line, Column: column,
				Level: "failure", Title: "Configuration", Message: visible(redact(m[4]), ""),
			})
		}
	}
	return notes
}
