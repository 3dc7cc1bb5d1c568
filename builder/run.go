package builder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/builder/executor"
)

// Run keeps the builder present until ctx ends. Then it takes nothing more, ends
// all attempts as interrupted, gives their reports a last short time, and
// returns once nothing that it started is left.
func (b *Builder) Run(ctx context.Context) {
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

// Drain takes nothing new and returns when all attempts have ended, or when ctx
// has.
func (b *Builder) Drain(ctx context.Context) error {
	for {
		b.mu.Lock()
		b.draining = true
		if len(b.slots) == 0 {
			b.mu.Unlock()
			return nil
		}
		if b.left == nil {
			b.left = make(chan struct{})
		}
		left := b.left
		b.mu.Unlock()
		select {
		case <-left:
		case <-ctx.Done():
			return fmt.Errorf("drain builder: %w", context.Cause(ctx))
		}
	}
}

// Reap removes what an earlier process of this builder left on the machine:
// processes, containers, workspaces, logs. It is called before the first Take.
func (b *Builder) Reap(ctx context.Context) error {
	err := b.reapRunning(ctx)
	logs, globErr := filepath.Glob(filepath.Join(b.SpoolDir, "*"))
	err = errors.Join(err, globErr)
	for _, path := range logs {
		err = errors.Join(err, os.Remove(path))
	}
	if err = errors.Join(err, b.Workspaces.Reap(ctx)); err != nil {
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
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (b *Builder) presence() dispatch.Presence {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := dispatch.Presence{Builder: b.Name, Boot: b.Boot, Capacity: b.Capacity, Draining: b.draining || b.halted}
	for a := range b.slots {
		p.Running = append(p.Running, a)
	}
	return p
}

// sweep looks for leftovers now and then: a step may have left a container that
// could not be removed in time.
func (b *Builder) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if err := b.reapRunning(ctx); err != nil && ctx.Err() == nil {
			b.Log.Warn("leftovers stay", slog.Any("error", err))
		}
	}
}

// halt ends all work and refuses new.
func (b *Builder) halt() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.halted = true
	for _, s := range b.slots {
		s.stop(interrupted("builder stopped"))
	}
}

func (b *Builder) dropReports() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.slots {
		s.drop()
	}
}
