package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/client"
	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/architect/dispatch"
)

type registerFlags struct {
	agentFlags
	token *string
	name  *string
	ca    *string
	force *bool
}

func (c *cli) builderRegisterCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "register URL",
		Short: "Make this machine a builder of an architect",
		Long: `Make this machine a builder of the architect at URL, https://ci.example.org.

The token comes from velocity builder token, on the architect's side, and is good
once. The keys by which the architect will know this builder are made here, and
only their public halves are sent. What velocity builder run needs is stored in
the state folder, readable by this user alone.`,
		Args: arguments(1, 1),
	}
	f := registerFlags{
		agentFlags: c.agentFlags(cmd),
		token:      cmd.Flags().String("token", "", "registration `token`; - or none reads it from standard input"),
		name:       cmd.Flags().String("name", "", "`name` of the builder (default: this machine's)"),
		ca:         caFlag(cmd, "; it is remembered, and not for the addresses of a NATS cluster"),
		force:      cmd.Flags().Bool("force", false, "replace an earlier registration"),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return c.register(cmd.Context(), f, args[0]) }
	return cmd
}

func (c *cli) register(ctx context.Context, f registerFlags, address string) error {
	server, err := client.ParseServer(address)
	if err != nil {
		return usage("%w", err)
	}
	settings, err := c.agentSettings(f.agentFlags)
	if err != nil {
		return err
	}
	state := *f.state
	if registered(state) && !*f.force {
		return usage("%s holds a registration already", state).hint("--force replaces it; --state DIR keeps both")
	}
	authority, err := c.caNamed(*f.ca)
	if err != nil {
		return err
	}
	name, err := builderName(*f.name)
	if err != nil {
		return err
	}
	// All that can fail here fails before the token is spent.
	if err := makeState(state); err != nil {
		return err
	}
	unlock, err := lockState(state)
	if err != nil {
		return err
	}
	token, err := c.registrationToken(*f.token)
	if err != nil {
		return errors.Join(err, unlock())
	}
	made, err := enroll(ctx, server, authority, token, name, settings)
	if err == nil {
		err = made.save(state)
	}
	if err = errors.Join(err, unlock()); err != nil {
		return err
	}
	fmt.Fprintf(c.Out, "registered %s at %s\n", made.Name, server)
	if made.onCluster() {
		fmt.Fprintf(c.Err, "it is let in on the NATS cluster once the nodes have reloaded what velocity builder nats-config prints at the server\n")
	}
	fmt.Fprintf(c.Err, "velocity builder run starts it\n")
	return nil
}

// builderName is the name that was asked for, or one made of the machine's.
func builderName(asked string) (string, error) {
	if asked != "" {
		if !dispatch.ValidName(asked) {
			return "", usage("--name %s: want lower-case letters, digits, dashes and underscores, at most 63", asked)
		}
		return asked, nil
	}
	machine, err := os.Hostname()
	if err != nil {
		return "", usage("this machine has no name: %w", err).hint("--name NAME gives the builder one")
	}
	short, _, _ := strings.Cut(strings.ToLower(machine), ".")
	if !dispatch.ValidName(short) {
		return "", usage("the machine's name %q cannot be a builder's", machine).hint("--name NAME gives it another")
	}
	return short, nil
}

// maxToken bounds a token, in bytes.
const maxToken = 1 << 10

// registrationToken returns the token that was given, or the first line of standard
// input, where it leaves no trace in a list of processes or a shell's history.
func (c *cli) registrationToken(given string) (string, error) {
	if given != "" && given != "-" {
		return given, nil
	}
	if given == "" && term.IsTerminal(c.In) {
		fmt.Fprint(c.Err, "registration token: ")
	}
	line, err := bufio.NewReader(io.LimitReader(c.In, maxToken)).ReadString('\n')
	if token := strings.TrimSpace(line); token != "" {
		return token, nil
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the token: %w", err)
	}
	return "", usage("there is no token").hint("--token TOKEN, or a line on standard input; velocity builder token makes one")
}
