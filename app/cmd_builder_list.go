package app

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/client"
)

func (c *cli) builderCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "builder",
		Short: "Machines that build for a server",
		RunE:  func(cmd *cobra.Command, args []string) error { return unknownSubcommand(cmd, args) },
	}
	cmd.AddCommand(c.builderTokenCommand(), c.builderRegisterCommand(), c.builderRunCommand(), c.builderListCommand(),
		c.builderDrainCommand(), c.builderResumeCommand(), c.builderRevokeCommand())
	return cmd
}

func (c *cli) builderListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the registered builders",
		Args:  arguments(0, 0),
	}
	office, asJSON := officeFlagsOf(cmd), jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.atOffice(cmd.Context(), office, func(s *client.Client) error {
			all, err := s.Builders(cmd.Context())
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(c.Out, notNil(all))
			}
			rows := [][]string{{"NAME", "STATUS", "TRUST", "EXECUTORS", "LABELS", "VERSION"}}
			for _, b := range all {
				trust := "trusted"
				if b.Untrusted {
					trust = "untrusted"
				}
				var said []string
				for _, name := range slices.Sorted(maps.Keys(b.Labels)) {
					said = append(said, name+"="+b.Labels[name])
				}
				rows = append(rows, []string{b.Name, standing(b), trust, strings.Join(b.Executors, ","), strings.Join(said, " "), b.Version})
			}
			return c.page().Table(rows)
		})
	}
	return cmd
}

// standing is what the roster says about a builder, in a word.
func standing(b api.Builder) string {
	switch {
	case b.Revoked:
		return "revoked"
	case b.Drained:
		return "drained"
	}
	return "registered"
}
