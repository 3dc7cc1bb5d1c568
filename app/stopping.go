package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// A graceValue is how long something is waited for; 0 is not at all.
type graceValue time.Duration

// Set implements pflag.Value.
func (p *graceValue) Set(text string) error {
	long, err := time.ParseDuration(text)
	if err != nil || long < 0 {
		return fmt.Errorf("%q is no time to wait: 0, 20s or 10m are", text)
	}
	*p = graceValue(long)
	return nil
}

// String implements pflag.Value.
func (p *graceValue) String() string { return time.Duration(*p).String() }

// Type implements pflag.Value.
func (p *graceValue) Type() string { return "duration" }

// Why attempts under way get no more time when a process has been told to end.
var (
	errToldTwice = errors.New("a second signal")
	errGraceOver = errors.New("their time is over")
)

// finish waits until ctx ends, as it does at the first signal, and then lets drain
// bring to an end what is under way. The context of drain ends at a second signal,
// after the grace, which is for ever if it is negative, and with working. It
// returns nil if working ends first.
func finish(ctx, working context.Context, grace time.Duration, drain func(context.Context) error) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	select {
	case <-ctx.Done():
	case <-working.Done():
		return nil
	}
	within, end := context.WithCancelCause(working)
	if grace >= 0 {
		late := time.AfterFunc(grace, func() { end(errGraceOver) })
		defer late.Stop()
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for range 2 { // the first is why ctx ended
			select {
			case <-signals:
			case <-within.Done():
				return
			}
		}
		end(errToldTwice)
	}()
	err := drain(within)
	end(nil)
	<-over
	return err
}

// serveUntil serves until ctx ends and what the process itself builds has ended by
// then or soon after, see drain.
func (s *service) serveUntil(ctx context.Context, grace time.Duration, work func(context.Context) error) error {
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		err := finish(ctx, serving, grace, func(within context.Context) error { return s.drain(within, grace) })
		if err != nil {
			s.log.Warn("attempts under way are interrupted, and tried again by the next server", "err", err)
		}
		end()
	}()
	err := s.run(serving, work)
	end()
	<-drained
	return err
}

// drain gives out nothing more and waits for the attempts of the embedded builder,
// which end with this process. Those of other builders go on without it.
func (s *service) drain(ctx context.Context, grace time.Duration) error {
	s.log.Info("stopping: gives out nothing new and waits for what runs here; a second signal ends that", "grace", grace)
	s.taking.Store(false)
	s.c.tellManager(ctx, managerStopping, s.log)
	s.architect.StopAssigning()
	if s.builder == nil {
		return nil
	}
	return s.builder.Drain(ctx)
}
