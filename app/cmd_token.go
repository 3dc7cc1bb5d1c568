package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/client"
	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/storage/roster"
)

func (c *cli) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Who may ask a server: make, list and revoke API tokens",
		RunE:  func(cmd *cobra.Command, args []string) error { return unknownSubcommand(cmd, args) },
	}
	cmd.AddCommand(c.tokenCreateCommand(), c.tokenListCommand(), c.tokenRevokeCommand())
	return cmd
}

// unknownSubcommand is what a command that is only a group says.
func unknownSubcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	return usage("%s: there is no command %q", cmd.CommandPath(), args[0]).
		hint("velocity help %s", strings.TrimPrefix(cmd.CommandPath(), "velocity "))
}

// localOffice is the server that runs on this machine with that state, and this
// process in its place if none does: its user may write all it would write.
func (c *cli) localOffice(ctx context.Context, state string) (running, alone *client.Client, err error) {
	repo, err := c.openState(ctx, state)
	if err != nil {
		return nil, nil, err
	}
	here := &web.Front{
		Roster: roster.Open(repo, c.clock), Secrets: c.stateVault(repo), Known: c.knownIn(repo), Now: c.now, Log: silent(),
	}
	return client.Local(folderOf(repo)), client.Within(web.Local(here.Handler())), nil
}

func (c *cli) tokenCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make an API token for somebody, and print it once",
		Args:  arguments(1, 1),
	}
	office := officeFlagsOf(cmd)
	rights := cmd.Flags().String("rights", "read", "read: see builds and logs; act: also start, re-run and cancel; admin: also builders and tokens")
	only := cmd.Flags().StringArray("repository", nil, "`name` of the only repository it is for, or the key of a forge's, such as github-1296269; can be repeated (default: all)")
	expires := cmd.Flags().String("expires", "", "after this `time` it opens nothing: 30d, 12w, 1y, 36h (default: never)")
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		t := api.Token{Name: args[0], Rights: *rights, Repositories: *only}
		if *expires != "" {
			var age ageValue
			if err := age.Set(*expires); err != nil {
				return usage("--expires: %w", err)
			}
			t.Expires = c.clock().Add(time.Duration(age))
		}
		return c.atOffice(cmd.Context(), office, func(s *client.Client) error {
			made, err := s.Issue(cmd.Context(), t)
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(c.Out, made)
			}
			fmt.Fprintf(c.Err, "token %s for %s; it is not shown again:\n", made.ID, made.Name)
			if len(made.Of) > 0 {
				fmt.Fprintf(c.Err, "it is for %s alone\n", repositoriesOf(made.Of))
			}
			_, err = fmt.Fprintln(c.Out, made.Secret)
			return err
		})
	}
	return cmd
}

func (c *cli) tokenListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List API tokens",
		Args:  arguments(0, 0),
	}
	office, asJSON := officeFlagsOf(cmd), jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.atOffice(cmd.Context(), office, func(s *client.Client) error {
			all, err := s.Tokens(cmd.Context())
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(c.Out, notNil(all))
			}
			rows := [][]string{{"ID", "NAME", "RIGHTS", "REPOSITORIES", "EXPIRES", "MADE BY"}}
			for _, t := range all {
				only := "all"
				if len(t.Of) > 0 {
					only = repositoriesOf(t.Of)
				}
				rows = append(rows, []string{t.ID, t.Name, t.Rights, only, c.ending(t.Expires), t.By})
			}
			return c.page().Table(rows)
		})
	}
	return cmd
}

// repositoriesOf names repositories with what is worth knowing of them.
func repositoriesOf(all []api.Bound) string {
	var names []string
	for _, b := range all {
		names = append(names, repositoryOf(b))
	}
	return strings.Join(names, ", ")
}

// repositoryOf is a repository's name; that of a forge's with its key, since another
// one may have the name tomorrow.
func repositoryOf(b api.Bound) string {
	var notes []string
	if b.Key != b.Name {
		notes = append(notes, b.Key)
	}
	if b.State != "" {
		notes = append(notes, b.State)
	}
	if b.Was != "" {
		notes = append(notes, "was "+b.Was)
	}
	if len(notes) == 0 {
		return b.Name
	}
	return b.Name + " (" + strings.Join(notes, ", ") + ")"
}

// ending is when something ends, for people.
func (c *cli) ending(t time.Time) string {
	switch {
	case t.IsZero():
		return "never"
	case !c.now().Before(t):
		return "expired"
	}
	return t.UTC().Format(time.DateOnly)
}

func (c *cli) tokenRevokeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "Make an API token open nothing from now on",
		Args:  arguments(1, 1),
	}
	office := officeFlagsOf(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.atOffice(cmd.Context(), office, func(s *client.Client) error {
			return s.Withdraw(cmd.Context(), args[0])
		})
	}
	return cmd
}
