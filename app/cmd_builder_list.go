package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/client"
	"github.com/velocity-ci/velocity/app/term"
)

func (c *cli) builderCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "builder",
		Short: "Machines that build for a server",
		RunE:  func(cmd *cobra.Command, args []string) error { return unknownSubcommand(cmd, args) },
	}
	cmd.AddCommand(c.builderTokenCommand(), c.builderRegisterCommand(), c.builderRunCommand(), c.builderListCommand(),
		c.builderDrainCommand(), c.builderResumeCommand(), c.builderRevokeCommand(), c.builderNATSConfigCommand())
	return cmd
}

func (c *cli) builderListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the registered builders, and which of them are connected",
		Long: `List the registered builders. Those that are connected show how many attempts
they run of how many they may, how long ago they were last heard, since when they
are there, and, if they take nothing new, why.`,
		Args: arguments(0, 0),
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
			rows := [][]string{{"NAME", "STATUS", "LOAD", "HEARD", "SINCE", "TRUST", "EXECUTORS", "LABELS", "VERSION", "TAKES NOTHING BECAUSE"}}
			for _, b := range all {
				trust := "trusted"
				if b.Untrusted {
					trust = "untrusted"
				}
				var said []string
				for _, name := range slices.Sorted(maps.Keys(b.Labels)) {
					said = append(said, name+"="+b.Labels[name])
				}
				load, heard, since, reason := presence(b.Connection, c.now())
				rows = append(rows, []string{
					b.Name, standing(b), load, heard, since, trust, strings.Join(b.Executors, ","), strings.Join(said, " "), b.Version, reason,
				})
			}
			return c.page().Table(rows)
		})
	}
	return cmd
}

// standing is how a builder stands, in a word: what was decided about it counts
// more than whether it is there.
func standing(b api.Builder) string {
	switch {
	case b.Revoked:
		return "revoked"
	case b.Drained:
		return "drained"
	case b.Connection != nil:
		return "connected"
	}
	return "registered"
}

// presence is what a table shows of a builder's connection.
func presence(on *api.Connection, now time.Time) (load, heard, since, reason string) {
	if on == nil {
		return "-", "-", "-", ""
	}
	load = fmt.Sprintf("%d/%d", on.Busy, on.Capacity)
	heard = term.Duration(max(0, now.Sub(on.Heard).Truncate(time.Second))) + " ago"
	return load, heard, on.Since.UTC().Format(time.RFC3339), on.Reason
}
