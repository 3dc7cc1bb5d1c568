package app

import (
	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/client"
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
			return s.Turn(cmd.Context(), args[0], verb, c.pusher())
		})
	}
	return cmd
}
