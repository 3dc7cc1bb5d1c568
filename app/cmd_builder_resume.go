package app

import "github.com/spf13/cobra"

func (c *cli) builderResumeCommand() *cobra.Command {
	return c.builderTurnCommand("resume", "Let a drained builder take tasks again")
}
