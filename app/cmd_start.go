package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/client"
	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/storage/git"
)

func (c *cli) startCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "start [NAME]",
		Short: "Ask for a build of a pipeline or blueprint",
		Long: `Ask for a build of a pipeline or blueprint of a repository that is served.

The request is kept in the repository: if no server is running, the next one
builds it. With --follow the build is shown to its end.`,
		Args: arguments(0, 1),
	}
	from := placeFlags(cmd)
	ref := cmd.Flags().String("ref", "", "branch, tag or commit to build (default HEAD)")
	params := paramFlag(cmd)
	noReuse := cmd.Flags().Bool("no-reuse", false, "build every task, also one that an earlier success could stand in for")
	follow := followFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		given, err := givenParameters(*params)
		if err != nil {
			return err
		}
		ask := api.Start{Name: strings.Join(args, ""), Ref: *ref, Parameters: given, NoReuse: *noReuse, Actor: c.pusher()}
		return c.request(cmd.Context(), from, *follow,
			func(ctx context.Context, s *client.Client) (string, error) { return s.Start(ctx, ask) },
			func(ctx context.Context, d desk) (string, error) {
				t, err := d.Start(ctx, web.Once{}, ask)
				return t.ID, err
			})
	}
	return cmd
}

func (c *cli) rerunCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rerun BUILD",
		Short: "Build a build again",
		Long: `Build the same pipeline at the same commit again, as a new build.

With --failed the new build keeps what succeeded, and builds by the same plan
only what failed or never ran. The build must be over for that.

BUILD is an id, a number, or a commit as for velocity show: its newest build.`,
		Args: arguments(1, 1),
	}
	from, follow := placeFlags(cmd), followFlag(cmd)
	failed := cmd.Flags().Bool("failed", false, "keep what succeeded, and build only the rest")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		act := api.Act{Build: args[0], Failed: *failed, Actor: c.pusher()}
		return c.request(cmd.Context(), from, *follow,
			func(ctx context.Context, s *client.Client) (string, error) { return s.Rerun(ctx, act) },
			func(ctx context.Context, d desk) (string, error) {
				t, err := d.Rerun(ctx, web.Once{}, act)
				return t.ID, err
			})
	}
	return cmd
}

func followFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().BoolP("follow", "f", false, "show the build to its end; the outcome is the status")
}

// request puts a request for a build to a server, or into the inbox if there is
// none.
func (c *cli) request(ctx context.Context, from place, follow bool,
	ask func(context.Context, *client.Client) (string, error), store func(context.Context, desk) (string, error),
) error {
	server, err := from.remote(c)
	if err != nil {
		return err
	}
	if server != nil {
		id, err := ask(ctx, server)
		if err != nil {
			return err
		}
		return c.answered(ctx, server, id, follow)
	}
	repo, err := openRepository(ctx, *from.repo)
	if err != nil {
		return err
	}
	server = client.Local(folderOf(repo))
	id, err := ask(ctx, server)
	if errors.Is(err, client.ErrNoServer) {
		if _, err := store(ctx, c.deskAt(repo)); err != nil {
			return err
		}
		fmt.Fprintf(c.Out, "stored; no server is running for this repository: the next velocity serve or push builds it\n")
		if follow {
			return &failure{status: statusProblem, err: errors.New("there is nobody to follow")}
		}
		return nil
	}
	if err != nil {
		return usage("%w", err)
	}
	return c.answered(ctx, server, id, follow)
}

// errAnswered ends a stream of which only the beginning is wanted.
var errAnswered = errors.New("answered")

// answered says which build a request became, or shows it to its end.
func (c *cli) answered(ctx context.Context, server *client.Client, trigger string, follow bool) error {
	if !follow {
		err := server.FollowTrigger(ctx, trigger, func(u api.Update) error {
			if u.Answer == nil {
				return nil
			}
			for _, id := range u.Answer.Builds {
				fmt.Fprintln(c.Out, id)
			}
			return errAnswered
		})
		if errors.Is(err, errAnswered) {
			return nil
		}
		return err
	}
	display, closeDisplay := c.progress(c.Out)
	defer closeDisplay()
	f := newFollower(display)
	if err := server.FollowTrigger(ctx, trigger, f.see); err != nil {
		return err
	}
	if f.failed() {
		return &failure{status: statusFailed}
	}
	return nil
}

func (c *cli) cancelCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cancel BUILD",
		Short: "End a build",
		Long: `End a build: what waits fails at once, what runs is stopped.

BUILD is an id, a number, or a commit as for velocity show: its newest build.`,
		Args: arguments(1, 1),
	}
	from := placeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return c.cancel(cmd.Context(), from, args[0]) }
	return cmd
}

func (c *cli) cancel(ctx context.Context, from place, text string) error {
	act := api.Act{Build: text, Actor: c.pusher()}
	server, err := from.remote(c)
	if err != nil {
		return err
	}
	if server != nil {
		return server.Cancel(ctx, act)
	}
	repo, err := openRepository(ctx, *from.repo)
	if err != nil {
		return err
	}
	err = client.Local(folderOf(repo)).Cancel(ctx, act)
	if errors.Is(err, client.ErrNoServer) {
		return c.cancelAlone(ctx, repo, text)
	}
	if err != nil {
		return usage("%w", err)
	}
	return nil
}

// cancelAlone ends a build that a server left unfinished.
func (c *cli) cancelAlone(ctx context.Context, repo *git.Repository, text string) error {
	b, err := c.deskAt(repo).Find(ctx, text)
	if err != nil {
		return err
	}
	if b.State().Final() {
		return usage("build %s is over: it %s", b.ID, b.State())
	}
	s, err := c.newService(ctx, serviceOptions{
		paths: []string{repo.CommonDir()}, who: holderServe, attempts: architect.DefaultAttempts, log: silent(),
	})
	if err != nil {
		return err
	}
	err = s.run(ctx, func(ctx context.Context) error {
		if err := s.architect.Cancel(ctx, b.ID, "canceled"); err != nil && !errors.Is(err, architect.ErrNoBuild) {
			return err
		}
		return errIdle
	})
	return errors.Join(err, s.close())
}
