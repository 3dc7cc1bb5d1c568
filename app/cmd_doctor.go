package app

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/term"
)

// examinedWithin is how long each examination may take.
const examinedWithin = 15 * time.Second

func (c *cli) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what keeps a server from working, and say how to mend it",
		Long: `Look for what keeps a server from working, and say how to mend it.

Without --server it examines this machine by the configuration that velocity serve
would have, whether a server runs or not: git, the repositories, the state, disks,
Docker, the certificate, the server's own address, the forges and what they granted,
the last deliveries, and whether there are builders for what blueprints ask for.
With --server it asks that server, and compares its builders with the blueprints
here. Nothing is changed.

The status is 0 if there is nothing to mend, also after warnings, 1 if there is a
problem, 2 if the configuration cannot be read, and 3 if it was interrupted.`,
		Args: arguments(0, 0),
	}
	from, server, asJSON := configFlags(cmd), serverFlag(cmd), jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		d := &doctor{c: c, within: examinedWithin}
		var err error
		if d.conf, err = c.config(from); err != nil {
			return err
		}
		if len(d.conf.Repositories) == 0 && !noRepository(cmd.Context()) {
			d.conf.Repositories = repositories{{Path: "."}}
		}
		if *server.url != "" {
			if d.server, err = c.connect(*server.url, *server.ca, ""); err != nil {
				return err
			}
		}
		return c.diagnosis(cmd.Context(), d, *asJSON)
	}
	return cmd
}

// diagnosis prints what a doctor finds.
func (c *cli) diagnosis(ctx context.Context, d *doctor, asJSON bool) error {
	found := d.examine(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var err error
	if asJSON {
		err = printJSON(c.Out, notNil(found))
	} else {
		for _, s := range found {
			fmt.Fprintf(c.Out, "%-8s %-11s %s\n", s.Verdict, s.Check, term.Clean(s.Found))
			if s.Mend != "" {
				fmt.Fprintf(c.Out, "%20s mend: %s\n", "", term.Clean(s.Mend))
			}
		}
	}
	for _, s := range found {
		if s.Verdict == verdictProblem && err == nil {
			err = &failure{status: statusFailed}
		}
	}
	return err
}
