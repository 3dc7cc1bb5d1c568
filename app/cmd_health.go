package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/client"
)

// aliveWithin is how long a process may take to say that it lives. Container
// engines have a limit of their own, and kill who asks without a word.
const aliveWithin = 5 * time.Second

func (c *cli) healthCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask the server or builder in this container whether it lives",
		Long: `Ask the server or builder in this container whether it lives, for the health
check of the container engine: images of Velocity have it.

It is asked in the folder that the variable VELOCITY_HEALTH names to both. A
server answers from when it takes requests, a builder from when its architect has
let it in, each until it has ended. Whether a server is ready to take builds in is
another question, which /readyz and velocity doctor answer: a process that is
alive with a full disk is not mended by being started anew.

The status is 0 if it lives, 1 if nothing answers within 5 seconds, and 2 if the
variable is not set.`,
		Args: arguments(0, 0),
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.health(cmd.Context()) }
	return cmd
}

func (c *cli) health(ctx context.Context) error {
	folder := c.env[envHealth]
	if folder == "" {
		return usage("the variable %s names no folder to ask in", envHealth).
			hint("set it to the same folder for velocity serve, or velocity builder run, and for this command")
	}
	ctx, cancel := context.WithTimeout(ctx, aliveWithin)
	defer cancel()
	err := client.Local(folder).Alive(ctx)
	if errors.Is(err, client.ErrNoServer) {
		err = fmt.Errorf("no server or builder listens in %s: it has not begun to answer, or it has ended", folder)
	}
	if err != nil {
		return &failure{status: statusFailed, err: err}
	}
	_, err = fmt.Fprintln(c.Out, "alive")
	return err
}
