package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"
)

func (c *cli) builderRunCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Build what the architect gives this machine",
		Long: `Build what the architect gives this machine, until it is told to end.

It connects out only, and again for ever when the connection breaks. On TERM or
an interrupt it takes nothing new, finishes what runs and ends; a second one hands
back what has not ended, and another builder gets it.

Steps run in containers. With --executor host they run on this machine, as this
user: whoever can push to a repository of the architect runs code here then.`,
		Args: arguments(0, 0),
	}
	f := c.agentFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.runBuilder(cmd.Context(), f) }
	return cmd
}

func (c *cli) runBuilder(ctx context.Context, f agentFlags) error {
	state, err := filepath.Abs(*f.state) // a container engine needs whole paths
	if err != nil {
		return fmt.Errorf("find the state folder: %w", err)
	}
	settings, err := c.agentSettings(f)
	if err != nil {
		return err
	}
	log, err := c.logger(settings.logFormat, false)
	if err != nil {
		return err
	}
	credential, keys, err := loadCredential(state)
	if err != nil {
		return err
	}
	if err := makeState(state); err != nil {
		return err
	}
	unlock, err := lockState(state)
	if err != nil {
		return err
	}
	a := &agent{c: c, state: state, settings: settings, credential: credential, keys: keys, log: log}
	return errors.Join(a.run(ctx), unlock())
}
