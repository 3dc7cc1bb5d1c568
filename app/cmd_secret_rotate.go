package app

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (c *cli) secretRotateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Seal all secrets anew, with a new key",
		Long: `Make a new key, seal all secrets with it, and drop the key before it.

It is one change: nothing has to be stopped meanwhile, and if it is interrupted
either key opens all secrets; called again, it completes what was begun. What is in
backups keeps the key that it was sealed with, and opens with it.

In a repository on this machine it is about the repository's own secrets, with --site
about all of a server's, its repositories' included; --state and --config name another
state, --server another machine.`,
		Args: arguments(0, 0),
	}
	f := secretFlagsOf(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *f.of != "" {
			return usage("a server's secrets have one key: they are rotated all together").hint("velocity secret rotate --site")
		}
		return c.at(cmd.Context(), f, false, func(k secretKeeper) error {
			done, err := k.RotateSecrets(cmd.Context(), c.pusher())
			if err != nil {
				return err
			}
			said := "there are no secrets to seal anew"
			if done.Secrets > 0 {
				said = fmt.Sprintf("%s sealed with a new key: back it up together with them", secretsAre(done.Secrets))
			}
			_, err = fmt.Fprintln(c.Out, said)
			return err
		})
	}
	return cmd
}

func secretsAre(n int) string {
	if n == 1 {
		return "1 secret is"
	}
	return fmt.Sprintf("%d secrets are", n)
}
