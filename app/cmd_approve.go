package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/client"
	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/git"
)

func (c *cli) approveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "approve BUILD",
		Short: "Let a build start that waits for approval",
		Long: `Let a build start that waits for approval: that of a pull request from another
repository, or from somebody who is not known to be allowed to write.

The approval is for the commit and the plan that it prints, and for nothing else: a
new head of the pull request waits again. The build is given no secret all the same.
Look at the changes first: git show, and velocity show BUILD.

BUILD is an id, a number, or a commit as for velocity show: its newest build.`,
		Args: arguments(1, 1),
	}
	from := placeFlags(cmd)
	asJSON := jsonFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.approve(cmd.Context(), from, args[0], *asJSON)
	}
	return cmd
}

func (c *cli) approve(ctx context.Context, from place, which string, asJSON bool) error {
	r, err := c.books(ctx, from)
	if err != nil {
		return err
	}
	b, err := r.build(ctx, which)
	if err != nil {
		return err
	}
	if err := approvable(b); err != nil {
		return err
	}
	ask := api.Approval{
		Build: b.ID.String(), Commit: string(b.Trigger.Commit), Plan: b.Plan, By: cmp.Or(c.pusher(), "the repository's user"),
	}
	given, err := r.live().Approve(ctx, ask)
	if here, ok := r.(*record); ok && errors.Is(err, client.ErrNoServer) {
		given, err = ask, c.approveAlone(ctx, here.repo, b.ID, ask)
	}
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(c.Out, given)
	}
	_, err = fmt.Fprintln(c.Out, term.Clean(fmt.Sprintf("approved %s %s: commit %s, plan %s, by %s", given.Build, b.Name, given.Commit, given.Plan, given.By)))
	if err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// approvable says why a build cannot be approved.
func approvable(b *build.Build) error {
	switch {
	case b.AwaitsApproval():
		return nil
	case b.State().Final():
		return usage("build %s is over: it %s", b.ID, b.State())
	case b.Approval != nil:
		return usage("build %s was approved by %s", b.ID, b.Approval.By)
	}
	return usage("build %s does not wait for approval", b.ID).hint("velocity why %s says what it waits for", b.ID)
}

// approveAlone lets a build go on as soon as somebody serves the repository.
func (c *cli) approveAlone(ctx context.Context, repo *git.Repository, id build.ID, ask api.Approval) error {
	s, err := c.newService(ctx, serviceOptions{
		paths: []string{repo.CommonDir()}, who: holderServe, attempts: architect.DefaultAttempts, log: silent(),
	})
	if err != nil {
		return err
	}
	err = s.run(ctx, func(ctx context.Context) error {
		approval := build.Approval{Commit: plan.Commit(ask.Commit), Digest: ask.Plan, By: ask.By}
		if err := s.architect.Approve(ctx, id, approval); err != nil {
			return err
		}
		return errIdle
	})
	if err = errors.Join(err, s.close()); err != nil {
		return err
	}
	fmt.Fprintln(c.Err, "velocity: no server is running for this repository: the next velocity serve or push builds it")
	return nil
}
