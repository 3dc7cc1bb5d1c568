package app

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/blueprint"
)

func (c *cli) listCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the pipelines and blueprints of this repository",
		Args:  arguments(0, 0),
	}
	from := addOriginFlags(cmd)
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.list(cmd.Context(), from, *asJSON) }
	return cmd
}

func (c *cli) list(ctx context.Context, from originFlags, asJSON bool) error {
	src, err := from.open(ctx)
	if err != nil {
		return err
	}
	defer src.close()
	config, findings, err := src.config()
	if err != nil {
		return err
	}
	if findings.Err() != nil {
		fmt.Fprintln(c.Err, "velocity: the configuration has errors: velocity lint shows them")
	}
	if asJSON {
		return printJSON(c.Out, map[string][]blueprint.Summary{
			"pipelines": notNil(config.Pipelines()), "blueprints": notNil(config.Blueprints()),
		})
	}
	rows := [][]string{{"KIND", "NAME", "FILE", "DESCRIPTION"}}
	add := func(kind string, list []blueprint.Summary) {
		for _, s := range list {
			rows = append(rows, []string{kind, s.Name, s.File, s.Description})
		}
	}
	add("pipeline", config.Pipelines())
	add("blueprint", config.Blueprints())
	return c.page().Table(rows)
}
