package app

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/client"
	"github.com/velocity-ci/velocity/app/term"
)

func (c *cli) builderDrainCommand() *cobra.Command {
	return c.builderTurnCommand("drain", "Make a builder finish what it has and take nothing new")
}

// builderTurnCommand is a command that turns one builder; the verb is that of the
// API, too.
func (c *cli) builderTurnCommand(verb, short string) *cobra.Command {
	cmd := &cobra.Command{Use: verb + " NAME", Short: short, Args: arguments(1, 1)}
	office := officeFlagsOf(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.atOffice(cmd.Context(), office, func(s *client.Client) error {
			told, err := s.Turn(cmd.Context(), args[0], verb, c.pusher())
			if err == nil && told.Reload && verb == "revoke" {
				fmt.Fprintf(c.Err, "velocity: %s gets no work any more; the NATS cluster lets it in until its nodes have reloaded what velocity builder nats-config prints\n", term.Clean(args[0]))
			}
			return err
		})
	}
	return cmd
}
