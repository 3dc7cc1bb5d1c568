package api

import (
	"embed"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
)

// sources are where the types of this package are: their comments are the words of
// the API's description, so that there is one place for them.
//
//go:embed api.go blobs.go secret.go
var sources embed.FS

// Words are what is said beside the types of this package, by their names, and
// beside their fields, by both names with a dot between: Start, Start.Ref.
func Words() (map[string]string, error) {
	words := map[string]string{}
	entries, err := sources.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("read words of the API: %w", err)
	}
	for _, e := range entries {
		text, err := sources.ReadFile(e.Name())
		if err != nil {
			return nil, fmt.Errorf("read words of the API: %w", err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), e.Name(), text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("read words of the API: %w", err)
		}
		for _, decl := range file.Decls {
			if types, ok := decl.(*ast.GenDecl); ok && types.Tok == token.TYPE {
				collect(words, types)
			}
		}
	}
	return words, nil
}

// collect adds the words beside types and their fields.
func collect(words map[string]string, types *ast.GenDecl) {
	for _, spec := range types.Specs {
		named := spec.(*ast.TypeSpec)
		words[named.Name.Name] = said(types.Doc)
		fields, ok := named.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, field := range fields.Fields.List {
			for _, name := range field.Names {
				words[named.Name.Name+"."+name.Name] = said(field.Doc) + said(field.Comment)
			}
		}
	}
}

// said is a comment as one line; "" if there is none.
func said(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }
