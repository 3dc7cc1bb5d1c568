package app

import "github.com/spf13/cobra"

func (c *cli) builderRevokeCommand() *cobra.Command {
	return c.builderTurnCommand("revoke", "Shut a builder out for good; its name stays taken")
}
