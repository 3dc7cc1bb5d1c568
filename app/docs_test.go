package app_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/velocity-ci/velocity/app"
	"github.com/velocity-ci/velocity/blueprint"
)

// top is the repository's root.
const top = ".."

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pages are all Markdown files that people read.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	err := fs.WalkDir(os.DirFS(top), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if strings.HasSuffix(path, ".md") {
			all = append(all, path)
		}
		return err
	})
	if err != nil || len(all) < 8 {
		t.Fatalf("pages %v, %v", all, err)
	}
	return all
}

// Every direct dependency has its reason in docs/dependencies.md, and every
// reason its dependency.
func TestDependenciesHaveReasons(t *testing.T) {
	var direct []string
	for line := range strings.Lines(readText(t, "go.mod")) {
		words := strings.Fields(strings.TrimPrefix(line, "require "))
		if len(words) == 2 && strings.Contains(words[0], ".") && strings.HasPrefix(words[1], "v") {
			direct = append(direct, words[0])
		}
	}
	var explained []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(readText(t, "docs/dependencies.md"), -1) {
		explained = append(explained, m[1])
	}
	slices.Sort(direct)
	slices.Sort(explained)
	if !slices.Equal(direct, explained) {
		t.Errorf("go.mod requires\n%q\nand docs/dependencies.md explains\n%q", direct, explained)
	}
}

// What our own files import is a direct dependency, and go.mod says so.
func TestDependenciesAreDirect(t *testing.T) {
	direct := map[string]bool{} // by module
	for line := range strings.Lines(readText(t, "go.mod")) {
		if words := strings.Fields(line); len(words) > 1 && strings.HasPrefix(words[1], "v") {
			direct[words[0]] = !strings.HasSuffix(strings.TrimSpace(line), "// indirect")
		}
	}
	provider := func(name string) string { // the module with the longest name that fits
		for ; name != "."; name = path.Dir(name) {
			if _, ok := direct[name]; ok {
				return name
			}
		}
		return ""
	}
	err := fs.WalkDir(os.DirFS(top), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(top, name), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, imported := range file.Imports {
			from, err := strconv.Unquote(imported.Path.Value)
			if err != nil {
				return err
			}
			if module := provider(from); module != "" && !direct[module] {
				t.Errorf("%s imports %s, which go.mod calls indirect: go mod tidy", name, from)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// tree is a set of files.
type tree map[string]string

func (f tree) List(dir string) ([]string, error) {
	var names []string
	for name := range f {
		if strings.HasPrefix(name, dir+"/") {
			names = append(names, name)
		}
	}
	return names, nil
}

func (f tree) Read(path string) ([]byte, error) {
	if text, ok := f[path]; ok {
		return []byte(text), nil
	}
	return nil, fs.ErrNotExist
}

// The examples of configurations load without a finding: those for repositories as
// one repository a page, others alone.
func TestExamplesLoad(t *testing.T) {
	counts := map[string]string{}
	for _, path := range pages(t) {
		config, findings, err := blueprint.Load(examples(t, path))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			t.Errorf("%s: %v", path, f)
		}
		counts[path] = fmt.Sprint(len(config.Blueprints()), " ", len(config.Pipelines()))
		for _, b := range readPage(t, path).blocks {
			if b.language == "yaml" && !ofRepository(b.name) {
				if err := settings(b); err != nil {
					t.Errorf("%s:%d: %v", path, b.line, err)
				}
			}
		}
	}
	for path, want := range map[string]string{"docs/language.md": "10 5", "docs/monorepo.md": "4 1"} {
		if counts[path] != want {
			t.Errorf("%s blueprints and pipelines were found in %s; want %s", counts[path], path, want)
		}
	}
}

// ofRepository reports whether a file is what Velocity reads of repositories.
func ofRepository(name string) bool {
	return name == ".velocity.yml" || strings.HasPrefix(name, ".velocityci/")
}

// settings reads a block of YAML that is not for a repository: a server's
// configuration, unless its first line says that it is another file.
func settings(b block) error {
	switch b.name {
	case "", "velocity-server.yml":
		return app.ReadServerSettings(b.text)
	case "builder.yml":
		return app.ReadBuilderSettings(b.text)
	}
	var any yaml.Node // a file of another program
	return yaml.Unmarshal([]byte(b.text), &any)
}

// examples are the configuration files of a repository that a page shows.
func examples(t *testing.T, path string) tree {
	t.Helper()
	shown := tree{}
	for _, b := range readPage(t, path).blocks {
		if b.language != "yaml" || !ofRepository(b.name) {
			continue
		}
		if _, twice := shown[b.name]; twice {
			t.Errorf("two examples of %s are %s", path, b.name)
		}
		_, shown[b.name], _ = strings.Cut(b.text, "\n")
	}
	return shown
}

// What docs/monorepo.md says of its example is what the story shows of it.
func TestMonorepoExampleIsTheStory(t *testing.T) {
	story := readText(t, "app/testdata/script/monorepo.txt")
	for name, text := range examples(t, "docs/monorepo.md") {
		if !strings.Contains(story, "-- clone/"+name+" --\n"+text) {
			t.Errorf("the story does not have %s as the page has it", name)
		}
	}
}
