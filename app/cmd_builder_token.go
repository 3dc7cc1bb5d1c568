package app

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/client"
)

func (c *cli) builderTokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make a token that registers one builder, and print it once",
		Long: `Make a token that registers one builder, and print it once. On the other
machine, velocity builder register takes it.

What --labels and --untrusted say counts more than what the builder says about
itself. An untrusted builder gets only the tasks of strangers.`,
		Args: arguments(0, 0),
	}
	office := officeFlagsOf(cmd)
	ttl := cmd.Flags().Duration("ttl", time.Hour, "how long it is good for")
	name := cmd.Flags().String("name", "", "the only `name` it is for (default: the builder names itself)")
	said := cmd.Flags().StringToString("labels", nil, "labels that the builder gets: `gpu=true`,pool=a; can be repeated")
	untrusted := cmd.Flags().Bool("untrusted", false, "the builder gets the tasks of strangers, and no others")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		leave := api.Leave{Name: *name, Labels: *said, Untrusted: *untrusted, Seconds: int64(*ttl / time.Second)}
		return c.atOffice(cmd.Context(), office, func(s *client.Client) error {
			made, err := s.Mint(cmd.Context(), leave)
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(c.Out, made)
			}
			fmt.Fprintf(c.Err, "good for one builder until %s; it is not shown again:\n", made.Expires.UTC().Format(time.RFC3339))
			_, err = fmt.Fprintln(c.Out, made.Token)
			return err
		})
	}
	return cmd
}
