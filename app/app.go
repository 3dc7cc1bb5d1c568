// Package app is the command line: it reads arguments, the environment and
// configuration, wires the other packages together and shows what they did. It is
// the only package that sees all of them, and the only one that reads the
// environment. One file cmd_<name>.go holds one command.
package app

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/term"
)

// Streams are the files that a command talks through. Being an *os.File that is a
// terminal makes a difference: colours, live progress, questions.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Main runs one command and returns the program's exit status: 0 if all is fine,
// 1 if the build or check failed, 2 for wrong usage or configuration, 3 if the
// command could not be carried out. What went wrong is on streams.Err by then.
// The environment has the form of os.Environ. The end of ctx ends the command.
func Main(ctx context.Context, args []string, streams Streams, environment []string) int {
	ctx, streams, end := attended(ctx, streams)
	defer end()
	c := &cli{Streams: streams, env: map[string]string{}, now: time.Now}
	for _, entry := range environment {
		if name, value, ok := strings.Cut(entry, "="); ok {
			c.env[name] = value
		}
	}
	root := c.root(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return statusFine
	}
	return c.complain(ctx, err)
}

// A cli is what all commands share.
type cli struct {
	Streams
	env      map[string]string
	now      func() time.Time
	noColour bool
}

// root is the command tree. Every start of the program builds it, so commands
// must not do anything before they run.
func (c *cli) root(args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "velocity",
		Short: "Continuous integration that lives in git",
		Long: `Continuous integration that lives in git: pushes become builds, and their
results are kept in the repository's own refs and notes.`,
		SuggestionsMinimumDistance: 2, // letters

		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.Args = func(_ *cobra.Command, args []string) error { return unknownCommand(root, args) }
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if unknown := unknownCommand(root, args); cmd == root && unknown != nil {
			return unknown
		}
		return usage("%v", err).hint("velocity help %s", strings.TrimPrefix(cmd.CommandPath(), "velocity "))
	})
	root.PersistentFlags().BoolVar(&c.noColour, "no-color", false, "no colours, like the variable NO_COLOR")
	root.SetArgs(append([]string{}, args...))
	root.SetIn(c.In)
	root.SetOut(c.Out)
	root.SetErr(c.Err)
	root.AddCommand(c.commands()...)
	return root
}

func (c *cli) commands() []*cobra.Command {
	return []*cobra.Command{
		c.initCommand(),
		c.listCommand(),
		c.lintCommand(),
		c.schemaCommand(),
		c.planCommand(),
		c.runCommand(), c.actionCommand(),
		c.serveCommand(),
		c.builderCommand(),
		c.tokenCommand(), c.secretCommand(),
		c.loginCommand(),
		c.hookCommand(),
		c.gitlabCommand(),
		c.startCommand(),
		c.rerunCommand(),
		c.cancelCommand(),
		c.approveCommand(),
		c.buildsCommand(),
		c.showCommand(),
		c.logsCommand(),
		c.artifactsCommand(),
		c.whyCommand(),
		c.doctorCommand(),
		c.healthCommand(),
		c.fsckCommand(),
		c.archiveCommand(),
		c.purgeCommand(),
		c.fetchCommand(),
		c.publishCommand(),
		c.manualCommand(),
		c.versionCommand(),
	}
}

// unknownCommand is the error for a word that is no command, or nil.
func unknownCommand(root *cobra.Command, args []string) error {
	found, rest, err := root.Find(args)
	if err == nil && found != root {
		return nil
	}
	for _, word := range rest {
		if strings.HasPrefix(word, "-") {
			continue
		}
		f := usage("there is no command %q", word)
		if near := root.SuggestionsFor(word); len(near) > 0 {
			return f.hint("did you mean %s?", strings.Join(near, " or "))
		}
		return f.hint("velocity help")
	}
	return nil
}

// arguments accepts a number of arguments within bounds.
func arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= most {
			return nil
		}
		what := "too many arguments"
		if len(args) < least {
			what = "an argument is missing"
		}
		return usage("%s: %s", cmd.CommandPath(), what).hint("usage: %s", cmd.UseLine())
	}
}

// jsonFlag adds --json to a command that lists or shows something.
func jsonFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "print JSON")
}

// colour reports whether w gets colours.
func (c *cli) colour(w io.Writer) bool {
	return !c.noColour && c.env["NO_COLOR"] == "" && term.IsTerminal(w)
}
