package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/client"
	"github.com/velocity-ci/velocity/app/term"
)

func (c *cli) whyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "why BUILD [TASK]",
		Short: "Say what the tasks of a build wait for",
		Long: `Say what the tasks of a build wait for: what no builder offers, which slots are
busy, whose turn it is.

BUILD is as for velocity show; TASK is a task's name or key, as in s0t1. Without a
server that has the build in hand, it is what was recorded last.`,
		Args: arguments(1, 2),
	}
	from := placeFlags(cmd)
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.why(cmd.Context(), from, append(args, "")[0], append(args, "")[1], *asJSON)
	}
	return cmd
}

func (c *cli) why(ctx context.Context, from place, which, task string, asJSON bool) error {
	r, err := c.books(ctx, from)
	if err != nil {
		return err
	}
	b, err := r.build(ctx, which)
	if err != nil {
		return err
	}
	key := ""
	if task != "" {
		t, err := findTask(b, task)
		if err != nil {
			return err
		}
		key = t.Key
	}
	reasons, err := r.live().Why(ctx, b.ID.String(), key)
	if errors.Is(err, client.ErrNoServer) {
		reasons, err = recordedReasons(b, key), nil
		if !b.State().Final() {
			fmt.Fprintln(c.Err, "velocity: no server has this build in hand; velocity serve goes on with it")
		}
	}
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(c.Out, notNil(reasons))
	}
	return c.sayReasons(reasons)
}

// sayReasons prints a line for each task.
func (c *cli) sayReasons(reasons []api.Reason) error {
	for _, r := range reasons {
		line := fmt.Sprintf("%s (%s): %s", r.Name, r.Task, r.State)
		if r.Why != "" {
			line += ", " + r.Why
		}
		if _, err := fmt.Fprintln(c.Out, term.Clean(line)); err != nil {
			return fmt.Errorf("print: %w", err)
		}
	}
	return nil
}
