package app

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/storage"
)

func (c *cli) hookServeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:    "serve",
		Short:  "Build what is in the inbox, and end",
		Hidden: true,
		Args:   arguments(0, 0),
	}
	repo, executor := repoFlag(cmd), executorFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.hookServe(cmd.Context(), *repo, *executor) }
	return cmd
}

// hookServe builds what is in the inbox and what arrives meanwhile.
func (c *cli) hookServe(ctx context.Context, repo, executor string) error {
	on, err := executorsFor(executor, false)
	if err != nil {
		return err
	}
	log, err := c.logger("text", false)
	if err != nil {
		return err
	}
	o := serviceOptions{
		paths: []string{repo}, who: holderHook, execute: on, builder: true, attempts: architect.DefaultAttempts, log: log,
	}
	for again := true; again && err == nil && ctx.Err() == nil; {
		again, err = c.serveInbox(ctx, o)
	}
	return err
}

// serveInbox is one life of a hook's server. again says that a push was handed to
// it when it was about to end, and nobody else builds it.
func (c *cli) serveInbox(ctx context.Context, o serviceOptions) (again bool, err error) {
	s, err := c.newService(ctx, o)
	var held *storage.HeldError
	if errors.As(err, &held) {
		return false, nil // somebody else builds: the hook will find them
	}
	if err != nil {
		return false, err
	}
	err = s.run(ctx, func(ctx context.Context) error {
		for _, h := range s.houses.list() {
			h.site.Wake()
		}
		return s.untilIdle(ctx)
	})
	if err := errors.Join(err, s.close()); err != nil {
		return false, err
	}
	left, _, err := s.houses.list()[0].ledger.Store.Pending(ctx)
	return len(left) > 0, err
}

// linger is how long a hook's server waits for the next push, and for a hook that has
// handed over its own and is about to ask what became of it: what was answered without
// a build only this process knows, and on a busy machine a hook may be slow.
const linger = time.Second

// untilIdle waits until nothing is left to do. A hook that comes after that finds
// nobody at the socket and starts the next server.
func (s *service) untilIdle(ctx context.Context) error {
	for {
		if err := s.architect.WaitIdle(ctx); err != nil {
			return err
		}
		select {
		case <-time.After(linger):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if s.architect.Idle() {
			return errIdle
		}
	}
}
