package app

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// An edition of the manual is that of one version of the program. Its pages are in
// the language of man(7), and in ASCII alone.
//
// cobra has a writer of its own, which takes the texts of commands for Markdown.
// They are plain text: it would lose stars, underscores, lines that are to stay
// apart, and the names of what flags take.
type edition struct {
	version string
	date    string // 2026-11-22, or empty
}

// write appends the page of a command.
func (e edition) write(to *bytes.Buffer, cmd *cobra.Command) {
	fmt.Fprintf(to, ".TH %s 1 \"%s\" \"%s\" Velocity\n.nh\n.ad l\n", strings.ToUpper(roff(pageName(cmd))), roff(e.date), "velocity "+roff(e.version))
	fmt.Fprintf(to, ".SH NAME\n%s \\- %s\n", roff(pageName(cmd)), roff(cmd.Short))
	fmt.Fprintf(to, ".SH SYNOPSIS\n.B %s\n", roff(cmd.UseLine()))
	if subs := documentedCommands(cmd)[1:]; len(subs) > 0 {
		to.WriteString(".SH COMMANDS\n")
		for _, sub := range subs {
			if sub.Parent() == cmd {
				fmt.Fprintf(to, ".TP\n.BR %s (1)\n%s\n", roff(pageName(sub)), roff(sub.Short))
			}
		}
	}
	to.WriteString(".SH DESCRIPTION\n")
	for paragraph := range strings.SplitSeq(description(cmd), "\n\n") {
		writeParagraph(to, paragraph)
	}
	writeFlags(to, "OPTIONS", cmd.NonInheritedFlags())
	writeFlags(to, "OPTIONS OF ALL COMMANDS", cmd.InheritedFlags())
	to.WriteString(".SH EXIT STATUS\n" + exitStatuses)
	if cmd.HasParent() {
		fmt.Fprintf(to, ".SH SEE ALSO\n.BR %s (1)\n", roff(pageName(cmd.Parent())))
	}
}

// exitStatuses says what Main says.
const exitStatuses = `0 if all is fine, 1 if the build or the check failed, 2 for wrong usage or
configuration, 3 if it could not be done.
`

func description(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return strings.TrimSpace(cmd.Long)
	}
	return cmd.Short + "."
}

// writeParagraph fills lines, but for those of a paragraph that is indented: what a
// person types or sees stays as it stands.
func writeParagraph(to *bytes.Buffer, text string) {
	text = strings.Trim(text, "\n")
	if !strings.HasPrefix(text, " ") && !strings.HasPrefix(text, "\t") {
		fmt.Fprintf(to, ".PP\n%s\n", roff(text))
		return
	}
	fmt.Fprintf(to, ".PP\n.RS 4\n.nf\n%s\n.fi\n.RE\n", roff(strings.TrimLeft(text, " \t")))
}

func writeFlags(to *bytes.Buffer, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(to, ".SH %s\n", title)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Deprecated != "" {
			return
		}
		to.WriteString(".TP\n")
		if f.Shorthand != "" {
			fmt.Fprintf(to, "\\fB\\-%s\\fR, ", roff(f.Shorthand))
		}
		takes, usage := pflag.UnquoteUsage(f)
		fmt.Fprintf(to, "\\fB\\-\\-%s\\fR", roff(f.Name))
		if takes != "" {
			fmt.Fprintf(to, " \\fI%s\\fR", roff(takes))
		}
		fmt.Fprintf(to, "\n%s%s\n", roff(usage), roff(usualValue(f)))
	})
}

// usualValue says what counts without the flag, where that is something.
func usualValue(f *pflag.Flag) string {
	switch f.DefValue {
	case "", "0", "0s", "false", "[]":
		return ""
	}
	return fmt.Sprintf(" (default %s)", f.DefValue)
}

// roffEscapes are the characters of ASCII that man(7) takes for something else, or
// shows as another: who copies a command from a page gets what was meant.
var roffEscapes = strings.NewReplacer(`\`, `\e`, `-`, `\-`, `'`, `\(aq`, "`", `\(ga`, `^`, `\(ha`, `~`, `\(ti`, `"`, `\(dq`)

// roff makes plain text of any content fit for man(7).
func roff(text string) string {
	var out strings.Builder
	for i, line := range strings.Split(roffEscapes.Replace(text), "\n") {
		if i > 0 {
			out.WriteByte('\n')
		}
		if strings.HasPrefix(line, ".") {
			out.WriteString(`\&`) // it is no request
		}
		for _, r := range line {
			if r < 0x80 {
				out.WriteRune(r)
			} else {
				fmt.Fprintf(&out, `\[u%04X]`, r)
			}
		}
	}
	return out.String()
}
