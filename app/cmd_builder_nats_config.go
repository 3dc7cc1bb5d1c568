package app

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/storage/roster"
)

func (c *cli) builderNATSConfigCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "nats-config",
		Short: "Print the account of the server and its builders for the nodes of a NATS cluster",
		Long: `Print the part of a nats-server configuration that lets this server and its
registered builders in, each to its own subjects and no others. Every node of the
cluster includes it, and loads it again (nats-server --signal reload) after a
builder was registered or revoked.

It is made of the server's state, on its machine and as its user; a server need
not run. It holds no secret. docs/wire.md tells more.`,
		Args: arguments(0, 0),
	}
	from := configFlags(cmd)
	for _, f := range from.flags { // all that velocity serve takes is understood, and this is what matters
		if f.of.key != "state" && !strings.HasPrefix(f.of.key, "nats.") {
			cmd.Flags().Lookup(f.of.flag).Hidden = true
		}
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		conf := &serverConfig{}
		if err := c.gather(from, conf); err != nil {
			return err
		}
		return c.printAccount(cmd.Context(), conf)
	}
	return cmd
}

// printAccount prints what the nodes of a cluster have to know.
func (c *cli) printAccount(ctx context.Context, conf *serverConfig) error {
	if conf.NATS.Credentials != "" {
		return usage("nats.credentials: a cluster with an operator has no users in its configuration").
			hint("docs/wire.md lists the permissions that each needs")
	}
	keys, err := c.clusterKeys(ctx, conf)
	if err != nil {
		return err
	}
	repo, err := c.openState(ctx, conf.State)
	if err != nil {
		return err
	}
	builders, err := roster.Open(repo, c.clock).Builders(ctx)
	if err != nil {
		return err
	}
	builders = slices.DeleteFunc(builders, func(b roster.Builder) bool { return b.Revoked })
	members := make([]dispatch.Member, len(builders))
	for i, b := range builders {
		members[i] = dispatch.Member{Name: b.Name, Public: b.Public}
	}
	return dispatch.WriteAccount(c.Out, keys.Public(), members)
}
