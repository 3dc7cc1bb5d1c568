package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/blueprint"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// defaultName is what is planned and built when no name is given.
const defaultName = "default"

type planFlags struct {
	from   originFlags
	event  *string
	ref    *string
	params *[]string
	anew   *bool
	why    *bool
	json   *bool
}

func (c *cli) planCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan [NAME]",
		Short: "Show the construction plan of a pipeline or blueprint; nothing is run",
		Long: `Show the construction plan of a pipeline or blueprint; nothing is run.

The plan is drawn from the work tree, or with --commit and in a bare repository
from a commit. With --event and no NAME, all pipelines that the event starts are
planned, one after the other. Equal inputs give equal plans, byte by byte.

A plan of the work tree is for velocity run, which builds everything. All others
say of each task whether a server would run it, reuse the result of an earlier
build or skip it, and why, by what this repository records. With --event, files
are compared as they are in the event's commit; local changes do not count.

--json prints plans as they are stored; --json --why what becomes of each task.`,
		Args: arguments(0, 1),
	}
	f := planFlags{
		from:   addOriginFlags(cmd),
		event:  cmd.Flags().String("event", "", "plan for the trigger in `FILE`, as JSON; - is the standard input"),
		ref:    cmd.Flags().String("ref", "", "full `name` of the branch or tag to plan for, instead of the one checked out"),
		params: paramFlag(cmd),
		anew:   cmd.Flags().Bool("no-reuse", false, "plan to build every task, also one that an earlier success could stand in for"),
		why:    cmd.Flags().Bool("why", false, "with --json: print what becomes of each task, and why, instead of the plan"),
		json:   jsonFlag(cmd),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return c.plan(cmd.Context(), f, strings.Join(args, "")) }
	return cmd
}

func (c *cli) plan(ctx context.Context, f planFlags, name string) error {
	given, err := givenParameters(*f.params)
	if err != nil {
		return err
	}
	src, err := f.from.open(ctx)
	if err != nil {
		return err
	}
	defer src.close()
	trigger, err := c.trigger(src, f, name)
	if err != nil {
		return err
	}
	config, _, err := src.config()
	if err != nil {
		return err
	}
	commit, err := src.peel(trigger.Commit)
	if err != nil {
		return err
	}
	trigger.Commit = planCommit(commit)
	trigger.NoReuse = trigger.NoReuse || *f.anew
	req := blueprint.Request{
		Trigger: trigger, Config: planCommit(src.commit), Given: given, Lookup: c.lookup,
		Git: facts(ctx, src.repo, trigger.Ref, commit), Stored: c.deskAt(src.repo).stored,
	}
	return c.plans(ctx, c.forecast(src, trigger), config, req, f)
}

// plans draws and prints the plans of all that the trigger is about.
func (c *cli) plans(ctx context.Context, next *forecast, config *blueprint.Config, req blueprint.Request, f planFlags) error {
	matched, err := next.match(ctx, config)
	if err != nil {
		return err
	}
	if len(matched) == 0 {
		fmt.Fprintf(c.Err, "velocity: no pipeline is started by %s of %s\n", req.Trigger.Event, term.Clean(req.Trigger.Ref))
	}
	fates := []fate{}
	for _, m := range matched {
		p, o, err := next.draw(ctx, config, req, m)
		if err != nil {
			return err
		}
		fates = append(fates, o.fates...)
		switch {
		case !*f.json:
			err = c.page().Plan(p, o.remarks())
		case !*f.why:
			err = c.printPlan(p)
		}
		if err != nil {
			return err
		}
	}
	if *f.json && *f.why {
		return printJSON(c.Out, fates)
	}
	return nil
}

// printPlan prints a plan as it is stored.
func (c *cli) printPlan(p *plan.Plan) error {
	data, err := p.Encode()
	if err != nil {
		return err
	}
	_, err = c.Out.Write(data)
	return err
}

// trigger is what the plan is for: the event in a file, or a build here and now.
// What an event leaves out is taken from the origin.
func (c *cli) trigger(src *origin, f planFlags, name string) (plan.Trigger, error) {
	t := plan.Trigger{Event: plan.EventLocal, Name: defaultName}
	if src.files == nil {
		t.Event = plan.EventManual
	}
	if *f.event != "" {
		var err error
		if t, err = c.readEvent(*f.event); err != nil {
			return t, err
		}
	}
	if name != "" {
		t.Name = name
	}
	if *f.ref != "" {
		t.Ref = *f.ref
	}
	if t.Ref != "" && !strings.HasPrefix(t.Ref, "refs/") {
		return t, usage("%q is not the full name of a ref", t.Ref).hint("such as refs/heads/main or refs/tags/v1")
	}
	if t.Ref == "" {
		t.Ref = src.ref
	}
	if t.Commit == "" {
		t.Commit = planCommit(src.commit)
	}
	return t, nil
}

// eventLimit is the size of a trigger, in bytes, that nobody would write.
const eventLimit = 1 << 20

func (c *cli) readEvent(file string) (plan.Trigger, error) {
	var t plan.Trigger
	in := c.In
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return t, usage("read event: %w", err)
		}
		defer f.Close()
		in = f
	}
	dec := json.NewDecoder(io.LimitReader(in, eventLimit))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&t); err != nil {
		return t, usage("read event %s: %w", file, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return t, usage("read event %s: there is more than one JSON value", file)
	}
	switch t.Event {
	case plan.EventPush, plan.EventPullRequest, plan.EventMergeGroup, plan.EventSchedule, plan.EventManual, plan.EventLocal:
		return t, nil
	}
	return t, usage("read event %s: %q is not an event", file, t.Event).hint("events are %s, %s, %s, %s, %s and %s",
		plan.EventPush, plan.EventPullRequest, plan.EventMergeGroup, plan.EventSchedule, plan.EventManual, plan.EventLocal)
}
