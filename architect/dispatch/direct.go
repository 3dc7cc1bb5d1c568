package dispatch

import (
	"context"

	"github.com/velocity-ci/velocity/architect/build"
)

// A Direct wire joins an architect and a builder of the same process without
// NATS, for a `velocity run` that shall start in a few milliseconds. The messages
// are the same. Worker and Ear are set before it is used.
type Direct struct {
	Name   string // the builder's
	Worker Worker
	Ear    Ear
}

// Assign offers a task to the builder.
func (d *Direct) Assign(_ context.Context, _ string, a Assignment) error { return d.Worker.Take(a) }

// Cancel asks the builder to stop an attempt.
func (d *Direct) Cancel(_ context.Context, _ string, a Attempt, reason string) error {
	return d.Worker.Stop(a, reason)
}

// Publish drops the event: nobody else can listen.
func (d *Direct) Publish(build.Event) error { return nil }

// Here sends a sign of life.
func (d *Direct) Here(ctx context.Context, p Presence) error {
	p.Builder = d.Name
	return d.Ear.Here(ctx, p)
}

// Step tells how far an attempt is.
func (d *Direct) Step(ctx context.Context, p Progress) error { return d.Ear.Step(ctx, d.Name, p) }

// Log sends a piece of a log and returns how much of it the architect has.
func (d *Direct) Log(ctx context.Context, c Chunk) (int64, error) { return d.Ear.Log(ctx, d.Name, c) }

// End reports how an attempt ended.
func (d *Direct) End(ctx context.Context, r Result) error { return d.Ear.End(ctx, d.Name, r) }
