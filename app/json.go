package app

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage"
)

// notNil keeps an empty list from becoming null in JSON.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// printJSON prints a value for programs that read our output.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("print json: %w", err)
	}
	return nil
}

// printBuild prints a build in the form in which it is stored (docs/format.md),
// so that programs need to know one form only.
func printBuild(w io.Writer, b *build.Build) error {
	data, err := storage.EncodeBuild(b)
	if err != nil {
		return err
	}
	return printJSON(w, json.RawMessage(data))
}

// printBuilds prints a list of builds, each as printBuild does.
func printBuilds(w io.Writer, builds []*build.Build) error {
	list := make([]json.RawMessage, len(builds))
	for i, b := range builds {
		data, err := storage.EncodeBuild(b)
		if err != nil {
			return err
		}
		list[i] = data
	}
	return printJSON(w, list)
}
