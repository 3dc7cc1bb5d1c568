package app

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

func (c *cli) manualCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "manual FOLDER",
		Short: "Write the manual pages of all commands",
		Long: `Write the manual pages of all commands, one file each, into a folder, which is
made if there is none.

Where man looks for a user's own pages, in ~/.local/share/man/man1, they are
found by name: man velocity-run. The archive of a release has them already.`,
		Args: arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.manual(cmd.Root(), args[0]) },
	}
}

func (c *cli) manual(root *cobra.Command, folder string) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return fmt.Errorf("make the folder of the manual: %w", err)
	}
	of := edition{version: programVersion().Version, date: commitDate()}
	var page bytes.Buffer
	for _, cmd := range documentedCommands(root) {
		page.Reset()
		of.write(&page, cmd)
		name := filepath.Join(folder, pageName(cmd)+".1")
		if err := os.WriteFile(name, page.Bytes(), 0o666); err != nil { //nolint:gosec // all may read a manual
			return fmt.Errorf("write a page of the manual: %w", err)
		}
	}
	_, err := fmt.Fprintf(c.Out, "man -l %s\n", filepath.Join(folder, pageName(root)+".1"))
	return err
}

// documentedCommands are the commands that people use, cmd before those below it.
func documentedCommands(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" {
			all = append(all, documentedCommands(sub)...)
		}
	}
	return all
}

// pageName is what man finds the page of a command by, as with git's.
func pageName(cmd *cobra.Command) string {
	return strings.ReplaceAll(cmd.CommandPath(), " ", "-")
}
