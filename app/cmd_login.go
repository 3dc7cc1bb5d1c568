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
	"github.com/velocity-ci/velocity/storage/roster"
)

func (c *cli) loginCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "login URL",
		Short: "Keep an API token for a server",
		Long: `Ask for an API token, check it with the server, and keep it for this user
in the configuration folder, where --server finds it.

On a terminal the token is not shown as it is typed; elsewhere it is the first
line of the standard input. It is never an argument: others could see it.`,
		Args: arguments(1, 1),
	}
	ca := caFlag(cmd, "; it is remembered")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return c.login(cmd.Context(), args[0], *ca) }
	return cmd
}

func (c *cli) login(ctx context.Context, server, ca string) error {
	u, err := client.ParseServer(server)
	if err != nil {
		return usage("%w", err)
	}
	authority, err := c.caNamed(ca)
	if err != nil {
		return err
	}
	roots, err := authorities(authority)
	if err != nil {
		return err
	}
	token, err := c.readToken(ctx, u.String())
	if err != nil {
		return err
	}
	if err := roster.CheckForm(roster.TokenPrefix, token); err != nil {
		return usage("%w", err)
	}
	self, err := client.Remote(u, roots, token, "").Self(ctx)
	if err != nil {
		return fmt.Errorf("ask %s: %w", u, err)
	}
	path, err := c.keepLogin(u.String(), token, authority)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.Out, "logged in to %s as %s, with the right %s; the token is in %s\n",
		term.Clean(u.String()), term.Clean(self.Name), term.Clean(self.Rights), term.Clean(path))
	return err
}

// readToken reads a line that nobody else shall see.
func (c *cli) readToken(ctx context.Context, server string) (string, error) {
	if in, ok := c.In.(*os.File); ok && term.IsTerminal(c.In) {
		fmt.Fprintf(c.Err, "token for %s: ", term.Clean(server))
		text, err := readAnswer(ctx, in, true)
		fmt.Fprintln(c.Err)
		return strings.TrimSpace(text), err
	}
	const longest = 4096 // bytes
	line, err := bufio.NewReader(io.LimitReader(c.In, longest)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the token: %w", err)
	}
	return strings.TrimSpace(line), nil
}
