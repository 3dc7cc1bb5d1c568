package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/client"
	"github.com/velocity-ci/velocity/app/term"
)

func (c *cli) secretCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secret",
		Short: "What builds may use and nobody may read: set, list, remove and rotate",
		Long: `What builds may use and nobody may read.

A secret is the value of the secret parameter of its name. It is sealed at rest,
given to those attempts only that it is bound to, and masked in their logs.

In a repository on this machine it is for the builds made here, with a key in the
folder of your settings. With --site or --repository it is a server's: for all of its
repositories, or for one; the server is that of --server, or the one on this
machine with the state of --state or --config.`,
		RunE: func(cmd *cobra.Command, args []string) error { return unknownSubcommand(cmd, args) },
	}
	cmd.AddCommand(c.secretSetCommand(), c.secretListCommand(), c.secretRemoveCommand(), c.secretRotateCommand())
	return cmd
}

// A keeper of secrets is a server, or a repository on this machine.
type secretKeeper interface {
	Secrets(ctx context.Context) ([]api.Secret, error)
	SetSecret(ctx context.Context, s api.SetSecret) (api.Secret, error)
	RemoveSecret(ctx context.Context, repository, name string) error
	RotateSecrets(ctx context.Context, by string) (api.Rotated, error)
}

// secretFlags say whose a secret is.
type secretFlags struct {
	cmd    *cobra.Command
	repo   *string
	office officeFlags
	site   *bool
	of     *string
}

func secretFlagsOf(cmd *cobra.Command) secretFlags {
	return secretFlags{
		cmd: cmd, repo: repoFlag(cmd), office: officeFlagsOf(cmd),
		site: cmd.Flags().Bool("site", false, "a server's, for all of its repositories"),
		of:   cmd.Flags().String("repository", "", "a server's, for its repository of this `name`, or a forge's of this key, such as github-1296269"),
	}
}

// atServer reports whether a server is meant.
func (f secretFlags) atServer() bool {
	return *f.site || *f.of != "" || *f.office.server.url != "" || *f.office.state != "" || *f.office.config != ""
}

// at calls do with whoever keeps the secrets that the flags mean. one is false for
// a list, which is of all of them.
func (c *cli) at(ctx context.Context, f secretFlags, one bool, do func(secretKeeper) error) error {
	switch {
	case f.atServer() && f.cmd.Flags().Changed("repo"):
		return usage("--repo is for a repository on this machine, the other flags are for a server").
			hint("--repository NAME names the server's repository")
	case *f.site && *f.of != "":
		return usage("--site and --repository exclude each other")
	case f.atServer() && one && !*f.site && *f.of == "":
		return usage("whose secret is it?").hint("--repository NAME for one repository of the server, --site for all")
	case f.atServer():
		return c.atOffice(ctx, f.office, func(s *client.Client) error { return do(s) })
	}
	repo, err := openRepository(ctx, *f.repo)
	if err != nil {
		return err
	}
	return do(ownKeeper{c, repo})
}

func (c *cli) secretSetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "Keep a value, read from standard input, as a secret",
		Long: `Keep a value, read from standard input, as a secret: at a terminal it is asked for
and not shown. A value of one line loses the end of that line; one of several
lines stays as it is. It has 8 bytes to 64 KiB of UTF-8 text.

Setting a secret again replaces its value. What it is bound to stays, unless --ref,
--event, --blueprint or --any-image say it anew, all four together.

Images that see it, those of steps and of their services, have to be named by their
digest, unless --any-image leaves that to whoever writes the blueprints.`,
		Args: arguments(1, 1),
	}
	f := secretFlagsOf(cmd)
	refs := cmd.Flags().StringArray("ref", nil, "`pattern` of branches, or of full names such as refs/tags/v*, that it is for; can be repeated (default: the protected refs)")
	events := cmd.Flags().StringArray("event", nil, "`event` that it is for: push, schedule, manual or local; can be repeated (default: all of these)")
	blueprints := cmd.Flags().StringArray("blueprint", nil, "`name` of a blueprint that it is for; can be repeated (default: all)")
	anyImage := cmd.Flags().Bool("any-image", false, "images that see it need not be named by their digest")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s := api.Secret{
			Name: args[0], Repository: *f.of, Refs: *refs, Events: *events, Blueprints: *blueprints, AnyImage: *anyImage, By: c.pusher(),
		}
		var value []byte
		return c.at(cmd.Context(), f, true, func(k secretKeeper) (err error) {
			if value == nil { // whoever is asked second is given what was read for the first
				if value, err = c.readSecret(cmd.Context(), s.Name); err != nil {
					return err
				}
			}
			now, err := k.SetSecret(cmd.Context(), api.SetSecret{Secret: s, Value: value})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.Out, "secret %s of %s: value %d is kept\n", now.Name, keptFor(k, now), now.Number)
			return err
		})
	}
	return cmd
}

// keptFor is what a secret was kept for, and where.
func keptFor(k secretKeeper, s api.Secret) string {
	if own, ok := k.(ownKeeper); ok {
		return term.Clean(nameOf(own.repo)) + ", on this machine"
	}
	if s.Of == nil {
		return "all repositories of the server"
	}
	return repositoryOf(*s.Of)
}

func (c *cli) secretListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List secrets: what they are for, who set them, and when they were last used",
		Args:  arguments(0, 0),
	}
	f, asJSON := secretFlagsOf(cmd), jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.at(cmd.Context(), f, false, func(k secretKeeper) error {
			all, err := k.Secrets(cmd.Context())
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(c.Out, notNil(all))
			}
			rows := [][]string{{"NAME", "REPOSITORY", "REFS", "EVENTS", "BLUEPRINTS", "IMAGES", "VALUE", "SET", "LAST USED"}}
			images := map[bool]string{false: "by digest", true: "any"}
			for _, s := range all {
				of := "all"
				if s.Of != nil {
					of = repositoryOf(*s.Of)
				}
				rows = append(rows, []string{
					s.Name, of, listed(s.Refs, "protected"), listed(s.Events, "default"), listed(s.Blueprints, "all"), images[s.AnyImage],
					fmt.Sprint(s.Number), s.Set.UTC().Format("2006-01-02 15:04") + " by " + s.By, lastUse(s.Used),
				})
			}
			return c.page().Table(rows)
		})
	}
	return cmd
}

func listed(names []string, none string) string {
	if text := strings.Join(names, ", "); text != "" {
		return text
	}
	return none
}

func lastUse(u *api.Use) string {
	if u == nil {
		return "never"
	}
	return u.At.UTC().Format("2006-01-02 15:04") + " by " + u.Attempt + " on " + u.Builder
}

func (c *cli) secretRemoveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rm NAME",
		Short: "Forget a secret: no attempt is given it from now on",
		Args:  arguments(1, 1),
	}
	f := secretFlagsOf(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.at(cmd.Context(), f, true, func(k secretKeeper) error {
			return k.RemoveSecret(cmd.Context(), *f.of, args[0])
		})
	}
	return cmd
}
