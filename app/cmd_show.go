package app

import (
	"context"

	"github.com/spf13/cobra"
)

func (c *cli) showCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show BUILD",
		Short: "Show one build: its stages, tasks, attempts and steps",
		Long: `Show one build: its stages, tasks, attempts and steps.

BUILD is an id (k3f9a2-12), a number (12), or whatever git knows a commit by, such
as a branch, a tag, 2fd4e1c or main~2: its newest build is meant.`,
		Args: arguments(1, 1),
	}
	from := placeFlags(cmd)
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.show(cmd.Context(), from, args[0], *asJSON)
	}
	return cmd
}

func (c *cli) show(ctx context.Context, from place, which string, asJSON bool) error {
	r, err := c.books(ctx, from)
	if err != nil {
		return err
	}
	b, err := r.build(ctx, which)
	if err != nil {
		return err
	}
	if asJSON {
		return printBuild(c.Out, b)
	}
	return c.page().Build(b)
}
