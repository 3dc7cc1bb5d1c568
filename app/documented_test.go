package app_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// documented is a command of scripts that takes a block from a page, of commands to be
// run by the script, or of a file that they need: what the page promises is what the
// script does.
//
//	documented PAGE NAME ['OLD => NEW'...]
//	documented PAGE HEADING/NUMBER FILE ['OLD => NEW'...]
//
// PAGE is a path from docs. The block's first line is a comment that begins with
// NAME, and it is written to that file as it is; or it is the sh block of this number
// below the heading with this anchor, and is written to FILE behind `set -e`, since
// somebody who types it stops at what fails. What cannot be run as it stands, such as
// an address, is replaced: each OLD must be there, and all of them are replaced.
func documented(ts *testscript.TestScript, neg bool, args []string) {
	take, err := parseTaking(args)
	if err != nil || neg {
		ts.Fatalf("usage: documented PAGE NAME|HEADING/NUMBER FILE ['OLD => NEW'...]")
	}
	b := documentedBlock(ts, args[0], take.block, "sh", "yaml", "json", "ini")
	text := b.text
	if take.block == b.place {
		text = "set -e\n" + text
	}
	text, err = replaced(text, take.instead)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(take.file), []byte(text), 0o666))
}

// A taking is what the arguments of documented say.
type taking struct {
	block, file string
	instead     []string // OLD => NEW
}

// placed is how a block is called that has no name of its own.
var placed = regexp.MustCompile(`^[^/]+/[1-9][0-9]*$`)

func parseTaking(args []string) (taking, error) {
	if len(args) < 2 {
		return taking{}, fmt.Errorf("%q: want a page and a block", args)
	}
	t, rest := taking{block: args[1], file: args[1]}, args[2:]
	if placed.MatchString(t.block) {
		if len(rest) == 0 {
			return taking{}, fmt.Errorf("%q: want a file", args)
		}
		t.file, rest = rest[0], rest[1:]
	}
	t.instead = rest
	return t, nil
}

// replaced is text with all OLD => NEW carried out, each of which must find something.
func replaced(text string, pairs []string) (string, error) {
	for _, pair := range pairs {
		old, instead, ok := strings.Cut(pair, " => ")
		if !ok || !strings.Contains(text, old) {
			return "", fmt.Errorf("%q is not OLD => NEW, or the block does not have it:\n%s", pair, text)
		}
		text = strings.ReplaceAll(text, old, instead)
	}
	return text, nil
}

// documentedBlock finds a block of a page by its name, or by its place among those of
// the first language.
func documentedBlock(ts *testscript.TestScript, path, which string, languages ...string) block {
	text, err := os.ReadFile(filepath.Join(top, "docs", path))
	ts.Check(err)
	p, err := parsePage("docs/"+path, string(text))
	ts.Check(err)
	for _, b := range p.blocks {
		if b.language == languages[0] && b.place == which || slices.Contains(languages, b.language) && b.name == which {
			return b
		}
	}
	ts.Fatalf("docs/%s has no %s block %s", path, languages[0], which)
	return block{}
}

// shows is a command of scripts, `shows PAGE HEADING/NUMBER ['OLD => NEW'...]`: what the
// last command wrote to stdout is what the page shows in this block of output, apart from
// ids, commits, times and what is replaced. In the page … stands for anything in its line,
// and alone on a line for any lines.
func shows(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: shows PAGE HEADING/NUMBER ['OLD => NEW'...]")
	}
	want, err := replaced(documentedBlock(ts, args[0], args[1], "output").text, args[2:])
	ts.Check(err)
	got := ts.ReadFile("stdout")
	if !asShown(want).MatchString(sameEverywhere(got)) {
		ts.Fatalf("docs/%s shows in %s\n%sbut this was written:\n%s", args[0], args[1], want, got)
	}
}

// asShown matches text that is what a page shows.
func asShown(page string) *regexp.Regexp {
	const anyLines = "…\n"
	var pattern strings.Builder
	for line := range strings.Lines(sameEverywhere(page)) {
		if line == anyLines {
			pattern.WriteString(`(?:.*\n)*`)
			continue
		}
		pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*"))
	}
	return regexp.MustCompile(`^` + pattern.String() + `$`)
}

// various is what differs from run to run, and what stands for it.
var various = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`\b[a-z0-9]{6}-([0-9]+)\b`), "STORE-$1"},
	{regexp.MustCompile(`\b[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z| ?[+-][0-9]{2}:?[0-9]{2})?`), "TIME"},
	{regexp.MustCompile(`\b(?:[0-9]+h)?(?:[0-9]+m)?[0-9]+(?:\.[0-9]+)?(?:s|ms|µs)\b`), "SHORT"},
	{regexp.MustCompile(`\b[0-9a-f]{40}(?:[0-9a-f]{24})?\b`), "COMMIT"},
	{regexp.MustCompile(`\b[0-9a-f]{7}\b`), "COMMIT"},
	{regexp.MustCompile(`[ \t]+\n`), "\n"},
	{regexp.MustCompile(` {2,}`), "  "}, // columns are as wide as what is in them
}

func sameEverywhere(text string) string {
	for _, v := range various {
		text = v.pattern.ReplaceAllString(text, v.instead)
	}
	return text
}

// Output is compared by what it says, not by when it was made.
func TestOutputAsShown(t *testing.T) {
	page := "k3f9a2-1 default: succeeded 3/3 in 41.2s\n…\nat 1234abc of main\n"
	for got, want := range map[string]bool{
		"zzzzzz-1 default: succeeded 3/3 in 1m3s\nmore\nlines\nat 7654321 of main\n": true,
		"k3f9a2-1 default: succeeded 3/3 in 3ms\nat 1234abc of main\n":               true,
		"k3f9a2-2 default: succeeded 3/3 in 41.2s\nat 1234abc of main\n":             false,
		"k3f9a2-1 default: succeeded 3/4 in 41.2s\nat 1234abc of main\n":             false,
		"k3f9a2-1 default: succeeded 3/3 in 41.2s\nat 1234abc of main\nmore\n":       false,
	} {
		if asShown(page).MatchString(sameEverywhere(got)) != want {
			t.Errorf("%q is what the page shows: %v; want %v", got, !want, want)
		}
	}
}
