package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	xterm "golang.org/x/term"

	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/blueprint"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// paramFlag adds --param, which can be repeated.
func paramFlag(cmd *cobra.Command) *[]string {
	return cmd.Flags().StringArray("param", nil, "value of a parameter, as `name=value`; can be repeated")
}

// givenParameters reads the arguments of --param.
func givenParameters(args []string) (map[string]string, error) {
	given := map[string]string{}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || !plan.ValidParameterName(name) {
			return nil, usage("--param %s is not of the form name=value", arg)
		}
		if _, twice := given[name]; twice {
			return nil, usage("--param %s is given twice", name)
		}
		given[name] = value
	}
	return given, nil
}

// parameterVariable is the variable that holds a parameter's value for commands
// run here: your-name is in VELOCITY_PARAM_YOUR_NAME.
func parameterVariable(name string) string {
	return "VELOCITY_PARAM_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(name))
}

// lookup finds a parameter in the environment.
func (c *cli) lookup(name string) (value string, ok bool) {
	value, ok = c.env[parameterVariable(name)]
	return value, ok
}

// draw draws a plan. Parameters that are missing are asked for if there is
// somebody to ask; the answers are in req.Given afterwards.
func (c *cli) draw(ctx context.Context, config *blueprint.Config, req *blueprint.Request) (*plan.Plan, error) {
	p, err := config.Draw(*req)
	var missing *blueprint.MissingError
	if !errors.As(err, &missing) || !term.IsTerminal(c.In) || !term.IsTerminal(c.Err) {
		return p, err
	}
	for _, m := range missing.Parameters {
		if req.Given[m.Name], err = c.ask(ctx, m); err != nil {
			return nil, fmt.Errorf("ask for %s: %w", m.Name, err)
		}
	}
	return config.Draw(*req)
}

// ask asks for one value, again if it is none of the possible ones. A secret is
// not shown as it is typed.
func (c *cli) ask(ctx context.Context, m blueprint.Missing) (string, error) {
	in := c.In.(*os.File)
	for {
		question := term.Clean(m.Name)
		if len(m.Options) > 0 {
			question += " (" + term.Clean(strings.Join(m.Options, ", ")) + ")"
		}
		fmt.Fprintf(c.Err, "%s: ", question)
		answer, err := readAnswer(ctx, in, m.Secret)
		if m.Secret || err != nil {
			fmt.Fprintln(c.Err)
		}
		if err != nil || len(m.Options) == 0 || slices.Contains(m.Options, answer) {
			return answer, err
		}
	}
}

// readAnswer reads a line from a terminal, which it leaves as it was. When ctx
// ends first, the goroutine that reads is left behind: a read from a terminal
// cannot be taken back, and the program is about to end.
func readAnswer(ctx context.Context, in *os.File, secret bool) (string, error) {
	fd := int(in.Fd())
	state, err := xterm.GetState(fd)
	if err != nil {
		return "", err
	}
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		var a answer
		if secret {
			var text []byte
			text, a.err = xterm.ReadPassword(fd)
			a.text = string(text)
		} else {
			a.text, a.err = bufio.NewReader(in).ReadString('\n') // terminals give one line a read
		}
		if errors.Is(a.err, io.EOF) {
			a.err = errors.New("no answer")
		}
		answers <- a
	}()
	select {
	case a := <-answers:
		return strings.TrimRight(a.text, "\r\n"), a.err
	case <-ctx.Done():
		return "", errors.Join(ctx.Err(), xterm.Restore(fd, state))
	}
}

// missingParameters tells how to give each of them.
func missingParameters(missing *blueprint.MissingError) *failure {
	var lines []string
	for _, m := range missing.Parameters {
		line := fmt.Sprintf("--param %s=… or the variable %s", m.Name, parameterVariable(m.Name))
		if m.Secret {
			line = fmt.Sprintf("the variable %s (%s is secret)", parameterVariable(m.Name), m.Name)
		}
		if len(m.Options) > 0 {
			line += ": " + strings.Join(m.Options, ", ")
		}
		lines = append(lines, line)
	}
	return usage("%w", missing).hint("%s", strings.Join(lines, "\n"))
}

// unknownName offers what was probably meant.
func unknownName(unknown *blueprint.UnknownNameError) *failure {
	f := usage("there is no %s %q", unknown.What, unknown.Name)
	if unknown.Nearest != "" {
		return f.hint("did you mean %s?", unknown.Nearest)
	}
	return f.hint("velocity list shows what there is")
}
