package app

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/storage"
)

// holderRepair holds the lock while it mends, as others are told.
const holderRepair = "velocity fsck --repair"

type fsckFlags struct {
	repo               *string
	repair, full, json *bool
}

func (c *cli) fsckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fsck",
		Short: "Check what is recorded in a repository, and mend it",
		Long: `Check what is recorded in a repository: refs, packs, builds, notes, the inbox.

Nothing is changed, and nobody has to stop for it. With --repair what can be mended
is mended, which needs a moment in which nobody records; what cannot be read is put
away where it can be looked at, and named. docs/repair.md explains each finding.

The exit status is 0 if all is in order (or was mended), 1 if something is not, and
3 if the check or the repair could not be carried out.`,
		Args: arguments(0, 0),
	}
	flags := cmd.Flags()
	f := fsckFlags{
		repo:   repoFlag(cmd),
		repair: flags.Bool("repair", false, "mend what can be mended"),
		full:   flags.Bool("full", false, "read every record and log of every build, too"),
		json:   jsonFlag(cmd),
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.fsck(cmd.Context(), f) }
	return cmd
}

func (c *cli) fsck(ctx context.Context, f fsckFlags) error {
	repo, err := openRepository(ctx, *f.repo)
	if err != nil {
		return err
	}
	store := c.openStore(repo)
	report, err := store.Check(ctx, *f.full)
	if err != nil {
		return unchecked(err)
	}
	out := fsckOutput{Store: report.Store, Writer: report.Writer, Findings: report.Findings}
	if *f.repair && len(out.Findings) > 0 {
		if out.Mended, out.Findings, err = store.Repair(ctx, holderRepair, *f.full); err != nil {
			return unchecked(err)
		}
		if out.Store, err = store.ID(); err != nil && len(out.Findings) == 0 {
			return unchecked(err)
		}
	}
	if *f.json {
		err = out.printJSON(c.Out)
	} else {
		err = out.print(c.Out, *f.repair)
	}
	if err == nil && len(out.Findings) > 0 {
		return &failure{status: statusFailed}
	}
	return err
}

// unchecked says what to do about what kept fsck from its work.
func unchecked(err error) error {
	f := &failure{status: statusProblem, err: err}
	var held *storage.HeldError
	if errors.As(err, &held) {
		return f.hint("end it and try again; velocity fsck alone needs nobody to end")
	}
	return f
}

// fsckOutput is what fsck has to say.
type fsckOutput struct {
	Store    string
	Writer   string
	Mended   []storage.Finding
	Findings []storage.Finding
}

func (o fsckOutput) print(w io.Writer, repaired bool) error {
	text := &lines{w: w}
	if o.Writer != "" && len(o.Findings) > 0 {
		text.add("note: recorded in by %s: what it is just changing may show as a finding", o.Writer)
	}
	for _, f := range o.Mended {
		text.add("mended %s: %s", f.Code, f.Did)
	}
	mends := 0
	for _, f := range o.Findings {
		text.add("%s: %s %s: %s", f.Severity, f.Code, f.Place, f.Problem)
		if f.Mends {
			mends++
			text.add("  --repair: %s", f.Remedy)
		} else {
			text.add("  %s", f.Remedy)
		}
	}
	switch n := len(o.Findings); {
	case n > 0 && repaired:
		text.add("%s left; docs/repair.md explains each code", count(n, "finding"))
	case n > 0 && mends > 0:
		text.add("%s; velocity fsck --repair takes care of %d", count(n, "finding"), mends)
	case n > 0:
		text.add("%s; docs/repair.md explains each code", count(n, "finding"))
	case o.Store == "" && len(o.Mended) == 0:
		text.add("nothing is recorded in this repository")
	default:
		text.add("store %s is in order", o.Store)
	}
	return text.err
}

// lines prints lines until one cannot be printed. What they quote may come from
// anybody.
type lines struct {
	w   io.Writer
	err error
}

func (l *lines) add(format string, args ...any) {
	if l.err == nil {
		_, l.err = fmt.Fprintln(l.w, term.Clean(fmt.Sprintf(format, args...)))
	}
}

// findingJSON is a finding as programs read it.
type findingJSON struct {
	Code     storage.Code     `json:"code"`
	Severity storage.Severity `json:"severity"`
	Place    string           `json:"place"`
	Problem  string           `json:"problem"`
	Remedy   string           `json:"remedy"`
	Mends    bool             `json:"mends"`
	Did      string           `json:"did,omitempty"`
}

func (o fsckOutput) printJSON(w io.Writer) error {
	stored := func(list []storage.Finding) []findingJSON {
		out := []findingJSON{}
		for _, f := range list {
			out = append(out, findingJSON{f.Code, f.Severity, f.Place, f.Problem, f.Remedy, f.Mends, f.Did})
		}
		return out
	}
	return printJSON(w, map[string]any{
		"store": o.Store, "writer": o.Writer, "mended": stored(o.Mended), "findings": stored(o.Findings),
	})
}
