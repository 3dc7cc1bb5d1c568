package architect_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
)

// dice are a simulation's only source of chance: a seed gives the same faults at
// the same virtual times, as far as the goroutines ask for them in the same order.
type dice struct {
	mu sync.Mutex
	r  *rand.Rand
}

func newDice(seed uint64) *dice { return &dice{r: rand.New(rand.NewPCG(seed, seed))} }

func (d *dice) chance(p float64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.Float64() < p
}

func (d *dice) upTo(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.r.IntN(n)
}

// between is a time from low to high. It is odd to the nanosecond, so that hardly
// two things in a simulation happen at once.
func (d *dice) between(low, high time.Duration) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return low + time.Duration(d.r.Int64N(int64(high-low)))
}

// pause waits d of virtual time, and reports whether ctx lasted as long.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// errNobody is what NATS answers when nobody listens.
var errNobody = errors.New("nobody listens there")

// A network carries the messages between an architect and its builders, and what
// is done to them is what core NATS allows: they get lost, on the way there or
// back, come late, twice and in another order.
type network struct {
	*dice
	over context.Context // ends with the simulation

	mu    sync.Mutex
	storm bool
	cut   map[string]bool // builders that nothing comes through to or from
}

func (n *network) lost(builder string) bool {
	n.mu.Lock()
	storm, cut := n.storm, n.cut[builder]
	n.mu.Unlock()
	return cut || storm && n.chance(0.15)
}

func (n *network) delay() time.Duration {
	n.mu.Lock()
	storm := n.storm
	n.mu.Unlock()
	if storm && n.chance(0.1) {
		return n.between(time.Second, 20*time.Second) // longer than anybody waits for it
	}
	return n.between(time.Millisecond/2, 5*time.Millisecond)
}

// ask has a message delivered and returns the answer, or why there is none.
func (n *network) ask(ctx context.Context, builder string, deliver func(context.Context) error) error {
	answers := make(chan error, 2)
	go n.carry(builder, deliver, answers)
	n.mu.Lock()
	storm := n.storm
	n.mu.Unlock()
	if storm && n.chance(0.1) {
		go n.carry(builder, deliver, answers)
	}
	select {
	case err := <-answers:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-n.over.Done():
		return errNobody
	}
}

func (n *network) carry(builder string, deliver func(context.Context) error, answers chan<- error) {
	if n.lost(builder) || !pause(n.over, n.delay()) {
		return
	}
	err := deliver(n.over)
	n.mu.Lock()
	storm := n.storm
	n.mu.Unlock()
	if n.lost(builder) || storm && !pause(n.over, n.delay()) {
		return
	}
	answers <- err // in good weather the way back takes no time
}

// weather sets what the network does to everybody's messages.
func (n *network) weather(storm bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.storm = storm
}

// partition cuts a builder off, or joins it again.
func (n *network) partition(builder string, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[builder] = cut
}

// upstream is the architect as builders reach it over the network.
type upstream struct{ w *world }

func (u upstream) Here(ctx context.Context, p dispatch.Presence) error {
	return u.w.net.ask(ctx, p.Builder, func(ctx context.Context) error {
		process := u.w.process()
		if process == nil {
			return errNobody
		}
		err := process.a.Here(ctx, p)
		if err == nil {
			u.w.witness.heard(p.Builder)
		}
		return err
	})
}

func (u upstream) Step(ctx context.Context, builder string, p dispatch.Progress) error {
	return u.w.net.ask(ctx, builder, func(ctx context.Context) error {
		process := u.w.process()
		if process == nil {
			return errNobody
		}
		return process.a.Step(ctx, builder, p)
	})
}

func (u upstream) Log(ctx context.Context, builder string, c dispatch.Chunk) (have int64, err error) {
	err = u.w.net.ask(ctx, builder, func(ctx context.Context) error {
		process := u.w.process()
		if process == nil {
			return errNobody
		}
		_, err := process.a.Log(ctx, builder, c)
		return err
	})
	return 0, err
}

func (u upstream) End(ctx context.Context, builder string, r dispatch.Result) error {
	return u.w.net.ask(ctx, builder, func(ctx context.Context) error {
		process := u.w.process()
		if process == nil {
			return errNobody
		}
		return process.a.End(ctx, builder, r)
	})
}

// downstream is what one process of the architect says to builders. A process
// that was killed says nothing.
type downstream struct {
	w *world
	p *process
}

func (d downstream) Assign(ctx context.Context, builder string, a dispatch.Assignment) error {
	return d.tell(ctx, builder, func(b *simBuilder) error { return b.wire.Assign(ctx, builder, a) })
}

func (d downstream) Cancel(ctx context.Context, builder string, a dispatch.Attempt, reason string) error {
	return d.tell(ctx, builder, func(b *simBuilder) error { return b.wire.Cancel(ctx, builder, a, reason) })
}

func (d downstream) tell(ctx context.Context, builder string, say func(*simBuilder) error) error {
	if !d.p.alive.Load() {
		return errNobody
	}
	b := d.w.builder(builder)
	return d.w.net.ask(ctx, builder, func(ctx context.Context) error {
		if !b.awake(ctx) {
			return errNobody
		}
		return say(b)
	})
}

func (downstream) Publish(build.Event) error { return nil }
