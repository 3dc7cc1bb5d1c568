package app_test

import (
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A use is one block of a page that a story or a test takes, and how.
type use struct {
	page, language, block string
}

// typed are lines that a person types, which belong into blocks of the language sh.
var typed = regexp.MustCompile(`(?m)^(?:\$ )?(?:[A-Z_]+=\S+ )?(?:velocity|git|go|docker|curl|sudo|systemctl|npm|cd|mkdir|install|printf|cat) `)

// Every command block of the documentation is run by a story or a test, and every
// block of output compared with what a story printed. Blocks without a language
// hold neither.
func TestEveryCommandBlockIsRun(t *testing.T) {
	taken := stories(t)
	blocks := 0
	for _, path := range userPages(t) {
		for _, b := range readPage(t, path).blocks {
			switch b.language {
			case "sh", "output":
				blocks++
				if !taken[use{path, b.language, b.place}] && !taken[use{path, b.language, b.name}] && !taken[use{path, b.language, ""}] {
					t.Errorf("%s:%d: no story takes the %s block %s %s", path, b.line, b.language, b.place, b.name)
				}
			case "":
				if m := typed.FindString(b.text); m != "" {
					t.Errorf("%s:%d: the block has a command, %s…, and is not marked sh", path, b.line, m)
				}
			}
		}
	}
	if blocks < 20 {
		t.Errorf("only %d blocks were found", blocks)
	}
}

// userPages are the pages for those who use Velocity.
func userPages(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(pages(t), func(path string) bool {
		return path != "README.md" && filepath.Dir(path) != "docs"
	})
}

// stories finds the blocks that stories take, and those of pages that Go tests take
// whole, by commandsOf.
func stories(t *testing.T) map[use]bool {
	t.Helper()
	taken := map[use]bool{}
	for _, path := range glob(t, "testdata/script/*.txt") {
		story, _, _ := strings.Cut(readText(t, "app/"+path), "\n-- ")
		for line := range strings.Lines(story) {
			if !strings.HasPrefix(line, "documented ") && !strings.HasPrefix(line, "shows ") {
				continue
			}
			u, err := useOf(story, splitLine(line))
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
			taken[u] = true
		}
	}
	whole := regexp.MustCompile(`commandsOf\(t, "([^"]+)"\)`)
	for _, path := range glob(t, "*_test.go") {
		for _, m := range whole.FindAllStringSubmatch(readText(t, "app/"+path), -1) {
			taken[use{m[1], "sh", ""}] = true
		}
	}
	return taken
}

// useOf is what a line of a story takes. Whoever takes commands has to run them.
func useOf(story string, words []string) (use, error) {
	if len(words) < 3 {
		return use{}, errors.New(strings.Join(words, " ") + ": which block?")
	}
	u := use{filepath.Join("docs", words[1]), "sh", words[2]}
	if words[0] == "shows" {
		u.language = "output"
		return u, nil
	}
	take, err := parseTaking(words[1:])
	if err != nil {
		return use{}, err
	}
	runs := regexp.MustCompile(`(?m)^(?:! )?(?:exec|exits|waitfor) .*[\s'"/]` + regexp.QuoteMeta(filepath.Base(take.file)) + `(?:[\s'"]|$)`)
	if filepath.Ext(take.file) != ".yml" && !runs.MatchString(story) {
		return use{}, errors.New(take.file + " is taken from " + u.page + " and not run")
	}
	return u, nil
}

// word is one argument of a line, quoted or not.
var word = regexp.MustCompile(`(?:'[^']*'|[^\s'#]+)+`)

// splitLine splits a line of a story as testscript does, without its variables.
func splitLine(line string) []string {
	var words []string
	for _, m := range word.FindAllString(line, -1) {
		words = append(words, strings.ReplaceAll(m, "'", ""))
	}
	return words
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("no file is called %s, %v", pattern, err)
	}
	return found
}

// commandsOf are all command blocks of a page, one after the other, for a test that
// runs them.
func commandsOf(t *testing.T, path string) string {
	t.Helper()
	var script strings.Builder
	for _, b := range readPage(t, path).blocks {
		if b.language == "sh" {
			script.WriteString(b.text)
		}
	}
	if script.Len() == 0 {
		t.Fatalf("%s has no commands", path)
	}
	return script.String()
}

// Blocks are in languages that tests know what to do with.
func TestBlocksHaveKnownLanguages(t *testing.T) {
	known := []string{"", "sh", "output", "yaml", "json", "ini", "mermaid"}
	for _, path := range pages(t) {
		for _, b := range readPage(t, path).blocks {
			if !slices.Contains(known, b.language) {
				t.Errorf("%s:%d: a block in %q; there are %q", path, b.line, b.language, known)
			}
		}
	}
}

// Blocks of JSON are JSON.
func TestJSONExamplesAreValid(t *testing.T) {
	seen := 0
	for _, path := range pages(t) {
		for _, b := range readPage(t, path).blocks {
			if b.language != "json" {
				continue
			}
			seen++
			for dec := json.NewDecoder(strings.NewReader(b.text)); ; {
				var v any
				err := dec.Decode(&v)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatalf("%s:%d: %v", path, b.line, err)
				}
			}
		}
	}
	if seen == 0 {
		t.Error("no block of JSON was found")
	}
}
