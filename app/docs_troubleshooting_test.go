package app_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	verb     = regexp.MustCompile(`"?%[-+# 0-9.]*[a-zA-Z]"?`)
	ellipses = regexp.MustCompile(`…[…]+`)
	headline = regexp.MustCompile("(?m)^### `([^`]+)`$")
	also     = regexp.MustCompile("\\bAlso (`[^`]+`(?:, `[^`]+`)*)")
	logLine  = regexp.MustCompile(`\bmsg="([^"]+)"`)
)

// Every message by which docs/troubleshooting.md can be searched, a headline that
// is nothing else or what follows "Also", is still one that the program has, and so
// is every line of the log that a page names.
func TestTroubleshootingQuotesTheProgram(t *testing.T) {
	page := readText(t, "docs/troubleshooting.md")
	var quoted []string
	for _, m := range headline.FindAllStringSubmatch(page, -1) {
		quoted = append(quoted, m[1])
	}
	for _, m := range also.FindAllStringSubmatch(page, -1) {
		for _, span := range strings.Split(m[1], ", `") {
			quoted = append(quoted, strings.Trim(span, "`"))
		}
	}
	if len(quoted) < 100 {
		t.Fatalf("only %d messages were found: %q", len(quoted), quoted)
	}
	for _, path := range userPages(t) {
		for _, m := range logLine.FindAllStringSubmatch(readText(t, path), -1) {
			quoted = append(quoted, m[1])
		}
	}
	texts := strings.Join(programTexts(t), "\n")
	for _, q := range quoted {
		want := strings.Trim(strings.ReplaceAll(q, `"…"`, "…"), "…: ")
		if !strings.Contains(want, " ") {
			t.Errorf("%q is too little to know a message by", q)
		}
		if !strings.Contains(texts, want) {
			t.Errorf("the pages quote %q, which the program never says", q)
		}
	}
}

// programTexts are the strings in the program's source, tests and their fakes left
// out, with an ellipsis for what varies.
func programTexts(t *testing.T) []string {
	t.Helper()
	var texts []string
	err := fs.WalkDir(os.DirFS(top), ".", func(path string, d fs.DirEntry, err error) error {
		name := d.Name()
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(name, ".") || strings.HasSuffix(name, "test") || name == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(top, path), nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			expr, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			text, ok := textOf(expr)
			if ok {
				texts = append(texts, ellipses.ReplaceAllString(text, "…"))
			}
			return !ok
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// textOf is the string that an expression adds up to; false if none is written
// down in it.
func textOf(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return verb.ReplaceAllString(text, "…"), err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, isLeft := textOf(e.X)
		right, isRight := textOf(e.Y)
		if e.Op != token.ADD || !isLeft && !isRight {
			return "", false
		}
		if !isLeft {
			left = "…"
		}
		if !isRight {
			right = "…"
		}
		return left + right, true
	}
	return "", false
}
