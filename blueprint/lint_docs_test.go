package blueprint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every finding is in docs/lint.md with what to do about it, and nothing else is.
func TestFindingsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/lint.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| (error|warning) \\| `(.+?)` \\| (.+) \\|$").FindAllStringSubmatch(string(page), -1) {
		if _, twice := documented[row[2]]; twice {
			t.Errorf("%q is documented twice", row[2])
		}
		documented[row[2]] = row[1]
	}
	if diff := cmp.Diff(findingsInCode(t), documented); diff != "" {
		t.Errorf("findings (-code +docs/lint.md):\n%s", diff)
	}
}

// findingsInCode maps the texts of findings to their severity. What varies in a
// text is written as an ellipsis.
func findingsInCode(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				method := n.Fun
				if s, ok := method.(*ast.SelectorExpr); ok {
					addFinding(found, s.Sel.Name, n.Args)
				}
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && (key.Name == "message" || key.Name == "Message") {
					addFinding(found, "errorf", []ast.Expr{n.Value})
				}
			}
			return true
		})
	}
	if len(found) < 100 {
		t.Fatalf("only %d findings in the code: %v", len(found), slices.Sorted(maps.Keys(found)))
	}
	return found
}

// addFinding notes the first text among the arguments of a method that reports.
func addFinding(found map[string]string, method string, args []ast.Expr) {
	severity, ok := map[string]string{"errorf": "error", "fail": "error", "NewError": "error", "warnf": "warning"}[method]
	if !ok {
		return
	}
	for _, arg := range args {
		var text string
		ast.Inspect(arg, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && text == "" {
				text, _ = strconv.Unquote(lit.Value)
			}
			return text == ""
		})
		if text == "" {
			continue
		}
		plain := regexp.MustCompile(`%[a-z]`).ReplaceAllString(text, "…")
		if strings.Contains(text, "%w") || strings.Trim(plain, "…: ") == "" {
			return // no finding, or one that is put together elsewhere
		}
		found[plain] = severity
		return
	}
}
