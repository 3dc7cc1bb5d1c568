package app

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/blueprint"
	"github.com/velocity-ci/velocity/storage"
)

func (c *cli) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema [FILE]",
		Short: "Print the JSON Schema of a kind of file, or of all",
		Long: `Print the JSON Schema of a kind of file, or of all.

The files that people write are root, blueprint and pipeline. Those that are kept
in git are build.json, events.jsonl (the schema of a line), plan.json, tips.json, schedules.json,
purged.json, report, outbox and trigger; docs/format.md says where.`,
		Args: arguments(0, 1),
		RunE: func(_ *cobra.Command, args []string) error { return c.schema(args) },
	}
}

func (c *cli) schema(args []string) error {
	schemas, err := blueprint.Schemas()
	if err != nil {
		return err
	}
	records, err := storage.Schemas()
	if err != nil {
		return err
	}
	maps.Copy(schemas, records)
	if len(args) == 0 {
		all := map[string]json.RawMessage{}
		for name, text := range schemas {
			all[name] = text
		}
		return printJSON(c.Out, all)
	}
	text, ok := schemas[args[0]]
	if !ok {
		return usage("there is no schema %q", args[0]).hint("there are %s", strings.Join(slices.Sorted(maps.Keys(schemas)), ", "))
	}
	_, err = fmt.Fprintf(c.Out, "%s\n", strings.TrimRight(string(text), "\n"))
	return err
}
