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
	json   *bool
}

func (c *cli) planCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan [NAME]",
		Short: "Show the construction plan of a pipeline or blueprint; nothing is run",
		Long: `Show the construction plan of a pipeline or blueprint; nothing is run.

The plan is drawn from the work tree, or with --commit and in a bare repository
from a commit. With --event and no NAME, all pipelines that the event starts are
planned, one after the other. Equal inputs give equal plans, byte by byte.`,
		Args: arguments(0, 1),
	}
	f := planFlags{
		from:   addOriginFlags(cmd),
		event:  cmd.Flags().String("event", "", "plan for the trigger in `FILE`, as JSON; - is the standard input"),
		ref:    cmd.Flags().String("ref", "", "full `name` of the branch or tag to plan for, instead of the one checked out"),
		params: paramFlag(cmd),
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
	req := blueprint.Request{
		Trigger: trigger, Config: planCommit(src.commit), Given: given, Lookup: c.lookup,
		Git: facts(ctx, src.repo, trigger.Ref, commit), Stored: c.deskAt(src.repo).stored,
	}
	matched, err := config.Match(trigger, nil)
	if err != nil {
		return err
	}
	if len(matched) == 0 {
		fmt.Fprintf(c.Err, "velocity: no pipeline is started by %s of %s\n", trigger.Event, term.Clean(trigger.Ref))
	}
	for _, m := range matched {
		req.Name = m.Name
		p, err := c.draw(ctx, config, &req)
		if err != nil {
			return err
		}
		if err := c.printPlan(p, *f.json); err != nil {
			return err
		}
	}
	return nil
}

func (c *cli) printPlan(p *plan.Plan, asJSON bool) error {
	if !asJSON {
		return c.page().Plan(p)
	}
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
	case plan.EventPush, plan.EventPullRequest, plan.EventSchedule, plan.EventManual, plan.EventLocal:
		return t, nil
	}
	return t, usage("read event %s: %q is not an event", file, t.Event).hint("events are %s, %s, %s, %s and %s",
		plan.EventPush, plan.EventPullRequest, plan.EventSchedule, plan.EventManual, plan.EventLocal)
}
