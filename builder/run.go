package builder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/builder/executor"
)

// Run delivers what an earlier process could not, and keeps the builder present
// until ctx ends. Then it takes nothing more, ends
// all attempts as interrupted, gives their reports a last short time, and
// returns once nothing that it started is left.
func (b *Builder) Run(ctx context.Context) {
	b.resume()
	b.weigh(ctx)
	var loops sync.WaitGroup
	loops.Go(func() { b.beat(ctx) })
	loops.Go(func() { b.sweep(ctx) })
	<-ctx.Done()
	b.halt()
	late := time.AfterFunc(b.Grace+b.pace.partingTime(), b.dropReports)
	defer late.Stop()
	b.attempts.Wait()
	loops.Wait()
}

// Drain takes nothing new and returns when all attempts have ended and been
// reported, or when ctx has. With Keep, results that the architect does not take
// within a short time after the last attempt's end stay for the next process.
func (b *Builder) Drain(ctx context.Context) error {
	var parting <-chan time.Time
	for {
		left, working := b.drain()
		if left == nil {
			return nil
		}
		if !working && b.Keep > 0 && parting == nil {
			timer := time.NewTimer(b.pace.partingTime())
			defer timer.Stop()
			parting = timer.C
		}
		select {
		case <-left:
		case <-parting:
			b.Log.Warn("results wait on the disk for the next start: the architect does not answer")
			return nil
		case <-ctx.Done():
			return fmt.Errorf("drain builder: %w", context.Cause(ctx))
		}
	}
}

// drain takes nothing new. It returns what tells of the next attempt that ends or
// leaves, nil if there is none, and whether any still works.
func (b *Builder) drain() (left <-chan struct{}, working bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.draining = true
	if len(b.slots) == 0 {
		return nil, false
	}
	for _, s := range b.slots {
		working = working || !s.over
	}
	if b.left == nil {
		b.left = make(chan struct{})
	}
	return b.left, working
}

// Reap removes what an earlier process of this builder left on the machine:
// processes, containers, workspaces, logs that nobody will ask for. It is called
// before the first Take. What Run can take up again it leaves.
func (b *Builder) Reap(ctx context.Context) error {
	b.adopt()
	err := errors.Join(b.reapRunning(ctx), b.reapSpool(b.Keep > 0), b.reapSecretFiles(), b.Workspaces.Reap(ctx, b.has))
	if err != nil {
		return fmt.Errorf("remove leftovers: %w", err)
	}
	return nil
}

// reapRunning has the executors end what no attempt owns any more.
func (b *Builder) reapRunning(ctx context.Context) error {
	var errs error
	for _, e := range b.executors(ctx) {
		n, err := e.Reap(ctx, b.owns)
		errs = errors.Join(errs, err)
		if n > 0 {
			b.Log.Warn("ended leftovers", slog.Int("count", n))
		}
	}
	return errs
}

// executors are those that can be asked now: an engine that does not answer is
// the business of the steps that need it.
func (b *Builder) executors(ctx context.Context) []Executor {
	var all []Executor
	if b.Host != nil {
		all = append(all, b.Host)
	}
	if b.Docker != nil && b.Docker.Available(ctx) == nil {
		all = append(all, b.Docker)
	}
	return all
}

// has reports whether an attempt of this builder has files of this name.
func (b *Builder) has(name string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for a := range b.slots {
		if fileName(a) == name {
			return true
		}
	}
	return false
}

// owns reports whether an attempt of this builder, now running, marks its
// processes with owner.
func (b *Builder) owns(owner string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for a := range b.slots {
		if b.owner(a).String() == owner {
			return true
		}
	}
	return false
}

func (b *Builder) owner(a dispatch.Attempt) executor.Owner {
	return executor.Owner{Builder: b.Name, Build: a.Build.String(), Task: a.Task, Attempt: a.Number}
}

// beat tells the architect that the builder is there, at once and then
// regularly, whatever else the builder does.
func (b *Builder) beat(ctx context.Context) {
	every := b.pace.beatEvery()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		ask, cancel := context.WithTimeout(ctx, every)
		err := b.Architect.Here(ask, b.presence())
		cancel()
		if err != nil && ctx.Err() == nil {
			b.Log.Debug("architect did not hear this builder", slog.Any("error", err))
		}
		b.examine(err == nil)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// sweep looks for leftovers now and then: a step may have left a container that
// could not be removed in time. The engine may be another one by then, too.
func (b *Builder) sweep(ctx context.Context) {
	ticker := time.NewTicker(b.pace.sweepEvery())
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		b.weigh(ctx)
		err := errors.Join(b.reapRunning(ctx), b.reapSpool(false), b.reapSecretFiles(), b.Workspaces.Reap(ctx, b.has))
		if err != nil && ctx.Err() == nil {
			b.Log.Warn("leftovers stay", slog.Any("error", err))
		}
	}
}

// halt ends all work and refuses new.
func (b *Builder) halt() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.halted = true
	reason := "builder stopped"
	if b.draining {
		reason = "drained"
	}
	for _, s := range b.slots {
		s.stop(interrupted("%s", reason))
	}
}

// errStopped is why a report ends that may go on in the next process.
var errStopped = errors.New("builder stopped")

func (b *Builder) dropReports() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.slots {
		s.drop(errStopped)
	}
}
