package app_test

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/velocity-ci/velocity/builder/require"
)

// A manifest is action.yml.
type manifest struct {
	Inputs  map[string]struct{ Description, Default string }
	Outputs map[string]struct{ Description string }
	Runs    struct {
		Using, Image string
		Args         []string
	}
}

func readManifest(t *testing.T) (m manifest) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(readText(t, "action.yml")), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// docs/action.md has the inputs and outputs of action.yml, with their defaults, and
// the program reads and writes those and no others.
func TestActionIsDocumented(t *testing.T) {
	t.Parallel()
	m, page := readManifest(t), readText(t, "docs/action.md")
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (?:`(\\w+)` )?\\| ").FindAllStringSubmatch(section(t, page, "Inputs"), -1) {
		documented[row[1]] = row[2]
	}
	declared := map[string]string{}
	for name, input := range m.Inputs {
		declared[name] = input.Default
	}
	if diff := cmp.Diff(declared, documented); diff != "" {
		t.Errorf("inputs (-action.yml +docs/action.md):\n%s", diff)
	}
	var outputs []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllStringSubmatch(section(t, page, "Outputs"), -1) {
		outputs = append(outputs, row[1])
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(m.Outputs)), slices.Sorted(slices.Values(outputs))); diff != "" {
		t.Errorf("outputs (-action.yml +docs/action.md):\n%s", diff)
	}

	s := newStep(t, one("true"))
	r := s.run(nil)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(m.Outputs)), slices.Sorted(maps.Keys(r.outputs))); diff != "" {
		t.Errorf("outputs (-action.yml +velocity action):\n%s", diff)
	}
	for name, def := range declared { // each is read, and its default is what is meant without it
		variable := "INPUT_" + strings.ToUpper(name)
		if s.env[variable] != def {
			t.Errorf("these tests give %s=%q; action.yml has %q", variable, s.env[variable], def)
		}
		if r := s.run(map[string]string{variable: ""}); r.status != 0 {
			t.Errorf("without %s: status %d, %s", name, r.status, r.raw)
		}
		if r := s.run(map[string]string{variable: "no value of it"}); r.status != 2 {
			t.Errorf("%s is not read: status %d, %s", name, r.status, r.raw)
		}
	}
	if m.Runs.Using != "docker" || m.Runs.Image != "Dockerfile" || !slices.Equal(m.Runs.Args, []string{"action"}) {
		t.Errorf("it runs %v", m.Runs)
	}
}

// section is the part of a page below a heading.
func section(t *testing.T, page, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("there is no section %s", heading)
	}
	text, _, _ := strings.Cut(rest, "\n## ")
	return text
}

// GitHub would take every workflow of docs/action.md, and the inputs and outputs in
// them are those of the action.
func TestActionWorkflows(t *testing.T) {
	t.Parallel()
	program := os.Getenv("VELOCITY_ACTIONLINT")
	_, missing := os.Stat(program)
	require.Have(t, "actionlint", missing)
	dir := t.TempDir()
	place := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte(text), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, ".git"), 0o777); err != nil { // what makes it a project
		t.Fatal(err)
	}
	place("action.yml", readText(t, "action.yml"))
	place("Dockerfile", "FROM scratch\n")
	workflows := regexp.MustCompile("(?s)```yaml\n# (\\S+)\n(.*?)```").FindAllStringSubmatch(readText(t, "docs/action.md"), -1)
	if all := strings.Count(readText(t, "docs/action.md"), "```yaml"); len(workflows) < 5 || len(workflows) != all {
		t.Errorf("%d of %d YAML blocks name a workflow's file", len(workflows), all)
	}
	for _, w := range workflows {
		place(w[1], strings.ReplaceAll(w[2], "velocity-ci/velocity@main", "./")) // as actions are called whose file it reads
	}
	lint := func() (string, error) {
		cmd := exec.Command(program, "-no-color", "-shellcheck=", "-pyflakes=")
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := lint(); err != nil {
		t.Errorf("actionlint: %v\n%s", err, out)
	}
	// It does read action.yml: an input that is not there is found.
	place(".github/workflows/wrong.yml", "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: ./\n        with: {recrod: true}\n")
	if out, err := lint(); err == nil || !strings.Contains(out, `"recrod" is not defined`) {
		t.Errorf("actionlint of a wrong workflow: %v\n%s", err, out)
	}
}
