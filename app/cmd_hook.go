package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/client"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/hooks"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/git"
)

func (c *cli) hookCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hook",
		Short: "Build pushes to a bare repository",
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.hookInstallCommand(), c.postReceiveCommand(), c.hookServeCommand())
	return cmd
}

// patience is how long a hook looks for somebody who builds. After that the push
// is left in the inbox.
const patience = 20 * time.Second

func (c *cli) postReceiveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:    "post-receive",
		Short:  "What git runs after a push",
		Hidden: true,
		Args:   arguments(0, 0),
	}
	executor := executorFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return c.postReceive(cmd.Context(), *executor)
	}
	return cmd
}

// postReceive takes a push in and shows what becomes of it. git has accepted the
// push: whatever goes wrong here is said, and never fails it.
func (c *cli) postReceive(ctx context.Context, executor string) error {
	path := c.env["GIT_DIR"]
	if path == "" {
		path = "."
	}
	push, err := hooks.ReadPush(c.In, hooks.Options(c.env))
	if err != nil {
		return err
	}
	accepting := context.WithoutCancel(ctx) // who pushed may go away, the push is there
	repo, err := openRepository(accepting, path)
	if err != nil {
		return err
	}
	h := &pushed{c: c, repo: repo, store: c.openStore(repo), executor: executor}
	for _, u := range push.Updates {
		h.triggers = append(h.triggers, plan.Trigger{
			ID: c.newTriggerID(), Event: plan.EventPush, Ref: u.Ref, Commit: u.New, Before: u.Old,
			Actor: c.pusher(), Received: c.clock(), Skip: push.Skip,
		})
	}
	if err := h.store.Accept(accepting, h.triggers); err != nil {
		return fmt.Errorf("take the push in: %w", err)
	}
	for _, note := range push.Notes {
		fmt.Fprintf(c.Err, "velocity: %s\n", note)
	}
	if len(h.triggers) == 0 {
		return nil
	}
	return h.handOver(ctx, push.Detach)
}

// pusher is who pushed, for people to read.
func (c *cli) pusher() string {
	for _, name := range []string{"REMOTE_USER", "GL_USERNAME", "LOGNAME", "USER"} {
		if who := c.env[name]; who != "" {
			return who
		}
	}
	return ""
}

// A pushed is a push that is in the inbox.
type pushed struct {
	c        *cli
	repo     *git.Repository
	store    *storage.Store
	executor string
	triggers []plan.Trigger
}

// handOver finds a server, or starts one, and follows the builds. That it does
// not succeed is told and is no error: the push is safe.
func (h *pushed) handOver(ctx context.Context, detach bool) error {
	server := client.Local(folderOf(h.repo))
	waking := context.WithoutCancel(ctx) // somebody shall build, also if nobody looks on
	if err := h.find(waking, func() error { return server.Wake(waking) }); err != nil {
		return h.left(err)
	}
	if detach {
		fmt.Fprintf(h.c.Err, "velocity: building %s; velocity builds shows the outcome\n", count(len(h.triggers), "ref"))
		return nil
	}
	display, closeDisplay := h.c.progress(h.c.Err)
	defer closeDisplay()
	for _, t := range h.triggers {
		f := newFollower(display)
		if err := h.find(ctx, func() error { return server.FollowTrigger(ctx, t.ID, f.see) }); err != nil {
			return h.left(err)
		}
		h.outcome(ctx, t, f)
	}
	return nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// left says that the push waits for a server.
func (h *pushed) left(err error) error {
	fmt.Fprintf(h.c.Err, "velocity: the push is stored but not built: %v\n", err)
	fmt.Fprintf(h.c.Err, "  the next push or velocity serve builds it; %s may say more\n", h.logFile())
	return nil
}

// find calls use until it succeeds, and starts a server when there is none. A
// server that went away in the middle is followed by another; one that fails
// again and again before it is there is not waited for.
func (h *pushed) find(ctx context.Context, use func() error) error {
	began := h.c.now()
	started := time.Time{}
	var ended <-chan error // of the server that was started last; nil if none runs
	for failures := 0; ; {
		err := use()
		if err == nil || ctx.Err() != nil {
			return err
		}
		if !errors.Is(err, client.ErrNoServer) {
			began, failures = h.c.now(), 0 // somebody was there: give the next one its time
		}
		if now := h.c.now(); now.Sub(began) > patience {
			return err
		} else if h.executor != executorNone && ended == nil && now.Sub(started) > time.Second {
			if ended, err = h.spawn(); err != nil {
				return err
			}
			started = now
		}
		select {
		case err := <-ended:
			if ended = nil; err == nil {
				continue // somebody else's is there
			}
			if failures++; failures == maxFailures {
				return fmt.Errorf("the server ended: %w", err)
			}
		case <-time.After(lookForServer):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// executorNone is what a hook is installed with that starts no server of its own,
// since the one that serves the repository has builders that such a one had not.
const executorNone = "none"

// maxFailures is how many servers a hook starts that fail before they answer.
const maxFailures = 3

// lookForServer is the pace at which a server is looked for that is starting.
const lookForServer = 10 * time.Millisecond

func (h *pushed) logFile() string { return filepath.Join(folderOf(h.repo), "hook.log") }

// outcome says where a trigger's builds can be read.
func (h *pushed) outcome(ctx context.Context, t plan.Trigger, f *follower) {
	if f.answer != nil && f.answer.Note != "" && len(f.answer.Builds) == 0 {
		if !h.before(ctx, t, f) {
			fmt.Fprintf(h.c.Err, "velocity: %s: %s\n", t.Ref, f.answer.Note)
		}
	}
	for _, id := range f.seen() {
		fmt.Fprintf(h.c.Err, "velocity: recorded as %s; read it with: git log --notes=velocity, velocity show %s\n", id, id)
	}
}

// before shows the builds of the trigger that a server finished which is gone, and
// reports whether there are any.
func (h *pushed) before(ctx context.Context, t plan.Trigger, f *follower) bool {
	known, err := h.store.OfCommit(ctx, t.Commit)
	if err != nil {
		return false
	}
	found := false
	for _, k := range known {
		if k.Trigger.Event != t.Event || k.Trigger.Ref != t.Ref {
			continue
		}
		if b, _, err := h.store.Build(ctx, k.ID); err == nil && b.State().Final() {
			f.ended(b)
			found = true
		}
	}
	return found
}

type hookInstallFlags struct {
	executor *string
	chain    *bool
}

func (c *cli) hookInstallCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "install REPO",
		Short: "Build each push to a bare repository and show it to who pushes",
		Long: `Build each push to a bare repository and show it to who pushes.

Sets up the post-receive hook. Nobody can push build results to the repository
afterwards, and pushes may carry -o velocity.skip (build nothing) and
-o velocity.detach (build, but do not wait).

A push that finds no velocity serve on the repository starts one that ends when
nothing is left to build. Its steps run in Docker. With --executor host they run on
this machine, as the user whom git runs as there: everyone who can push can run code
as that user. With --executor none a push waits for velocity serve instead: where
builders are on other machines, nothing can be built without it.`,
		Args: arguments(1, 1),
	}
	f := hookInstallFlags{
		executor: cmd.Flags().String("executor", "", "`where` steps run that a push starts: docker, host, or none for velocity serve alone (default docker)"),
		chain:    cmd.Flags().Bool("chain", false, "keep the hook that is there and run it first"),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return c.hookInstall(cmd.Context(), args[0], f) }
	return cmd
}

func (c *cli) hookInstall(ctx context.Context, path string, f hookInstallFlags) error {
	on := executors{}
	if *f.executor != executorNone {
		var err error
		if on, err = executorsFor(*f.executor, false); err != nil {
			return err
		}
	}
	repo, err := openRepository(ctx, path)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("install hook: %w", err)
	}
	hook := filepath.Join(repo.CommonDir(), "hooks", "post-receive")
	if err := hooks.Install(hook, self, *f.executor, *f.chain); err != nil {
		var exists *hooks.ExistsError
		if errors.As(err, &exists) {
			return usage("%w", err).hint("--chain keeps it and runs it first")
		}
		return err
	}
	if err := repo.Protect(ctx); err != nil {
		return err
	}
	fmt.Fprintf(c.Out, "installed %s\n", hook)
	switch {
	case on.host:
		fmt.Fprintf(c.Out, "Whoever can push to this repository can now run code on this machine, as the user whom git runs as.\n")
	case on.docker:
		fmt.Fprintf(c.Out, "Steps run in Docker; those without an image need --executor host.\n")
	default:
		fmt.Fprintf(c.Out, "Pushes wait for velocity serve.\n")
	}
	return nil
}
