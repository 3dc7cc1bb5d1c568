package architect_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
)

// A simBuilder keeps to the protocol as package builder does: it beats, takes no
// more than it can, repeats what was not answered, keeps the results of ended
// attempts over a crash, and stops what nobody wants. Its work is to let virtual
// time pass.
type simBuilder struct {
	w        *world
	name     string
	labels   map[string]string
	capacity int
	wire     *dispatch.Direct

	mu       sync.Mutex
	boot     int
	life     context.Context // of the process; nil while there is none
	kill     context.CancelFunc
	frozen   chan struct{} // closed at the thaw; nil while it is awake
	draining bool
	jobs     map[dispatch.Attempt]chan string
	begun    map[dispatch.Attempt]bool // by this process
	spool    map[dispatch.Attempt]dispatch.Result
}

func newSimBuilder(w *world, name string, capacity int, labels map[string]string) *simBuilder {
	b := &simBuilder{w: w, name: name, labels: labels, capacity: capacity, spool: map[dispatch.Attempt]dispatch.Result{}}
	b.wire = &dispatch.Direct{Name: name, Worker: b, Ear: upstream{w}}
	return b
}

// start begins a process of the builder, if there is none.
func (b *simBuilder) start() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.life != nil {
		return
	}
	b.boot++
	b.life, b.kill = context.WithCancel(b.w.over)
	b.draining = false
	b.jobs, b.begun = map[dispatch.Attempt]chan string{}, map[dispatch.Attempt]bool{}
	for at := range b.spool {
		go b.deliver(b.life, at)
	}
	go b.beat(b.life)
}

// crash kills the process; what it ran is gone, what it had spooled is not.
func (b *simBuilder) crash() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.life != nil {
		b.kill()
		b.life = nil
	}
	b.thawLocked()
}

func (b *simBuilder) freeze() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.frozen == nil {
		b.frozen = make(chan struct{})
	}
}

func (b *simBuilder) thaw() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.thawLocked()
}

func (b *simBuilder) thawLocked() {
	if b.frozen != nil {
		close(b.frozen)
		b.frozen = nil
	}
}

func (b *simBuilder) drain(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.draining = on
}

// awake waits while the builder is frozen, and reports whether there is anybody
// to go on. Whatever the builder does or hears passes it.
func (b *simBuilder) awake(ctx context.Context) bool {
	for {
		b.mu.Lock()
		frozen, up := b.frozen, b.life != nil
		b.mu.Unlock()
		if frozen == nil {
			return up && ctx.Err() == nil
		}
		select {
		case <-frozen:
		case <-ctx.Done():
			return false
		}
	}
}

func (b *simBuilder) beat(life context.Context) {
	ticker := time.NewTicker(dispatch.BeatEvery)
	defer ticker.Stop()
	for b.awake(life) {
		ctx, cancel := context.WithTimeout(life, dispatch.BeatEvery)
		_ = b.wire.Here(ctx, b.presence()) // a beat that is lost is followed by others
		cancel()
		select {
		case <-ticker.C:
		case <-life.Done():
			return
		}
	}
}

func (b *simBuilder) presence() dispatch.Presence {
	b.mu.Lock()
	defer b.mu.Unlock()
	running := slices.AppendSeq(slices.Collect(maps.Keys(b.jobs)), maps.Keys(b.spool))
	return dispatch.Presence{
		Boot: fmt.Sprint(b.boot), Capacity: b.capacity, Draining: b.draining, Running: running,
		Labels: b.labels, Executors: []string{"host"},
	}
}

// Take begins an attempt.
func (b *simBuilder) Take(a dispatch.Assignment) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.life == nil {
		return errNobody
	}
	if _, spooled := b.spool[a.Attempt]; spooled || b.begun[a.Attempt] {
		return nil
	}
	for have := range b.begun {
		if have.Build != a.Attempt.Build || have.Task != a.Attempt.Task {
			continue
		}
		if have.Number > a.Attempt.Number {
			return &dispatch.RefusedError{Reason: "a newer attempt has been begun"}
		}
		b.forget(have)
	}
	if b.draining || len(b.jobs) >= b.capacity {
		return &dispatch.RefusedError{Reason: "draining or full"}
	}
	stopped := make(chan string, 1)
	b.jobs[a.Attempt], b.begun[a.Attempt] = stopped, true
	go b.work(b.life, a, stopped)
	return nil
}

// Stop ends an attempt.
func (b *simBuilder) Stop(at dispatch.Attempt, reason string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.life == nil {
		return errNobody
	}
	if ch := b.jobs[at]; ch != nil {
		select {
		case ch <- reason:
		default: // it was told already
		}
	}
	return nil
}

// forget drops what is left of an attempt. b.mu is held.
func (b *simBuilder) forget(at dispatch.Attempt) {
	delete(b.jobs, at)
	delete(b.spool, at)
}

// work is one attempt from its start to its answered result.
func (b *simBuilder) work(life context.Context, a dispatch.Assignment, stopped <-chan string) {
	progress := dispatch.Progress{Attempt: a.Attempt, Steps: make([]build.Step, len(a.Task.Steps)+1)}
	progress.Steps[0].State = build.Building
	ctx, cancel := context.WithTimeout(life, 10*time.Second)
	_ = b.wire.Step(ctx, progress) // the result says it again
	cancel()
	took := b.w.between(10*time.Second, 10*time.Minute)
	if b.w.chance(0.01) {
		took = 24 * time.Hour // it hangs, and so does what should have ended it
	}
	timer := time.NewTimer(took)
	defer timer.Stop()
	verdict := dispatch.Succeeded
	select {
	case <-timer.C:
		if b.w.chance(0.1) {
			verdict = dispatch.Failed
		} else if b.w.chance(0.02) {
			verdict = dispatch.Interrupted
		}
	case <-stopped:
		verdict = dispatch.Failed
	case <-life.Done():
		return
	}
	if b.awake(life) {
		b.spoolResult(a, verdict)
		b.deliver(life, a.Attempt)
	}
}

// spoolResult writes down how an attempt ended. What it says, in its reason and
// as its log, tells which attempt of which process it was.
func (b *simBuilder) spoolResult(a dispatch.Assignment, verdict dispatch.Verdict) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, wanted := b.jobs[a.Attempt]; !wanted {
		return
	}
	r := dispatch.Result{Attempt: a.Attempt, Verdict: verdict, Reason: token(b.name, a.Attempt)}
	r.Log = logOf(r.Reason)
	for range len(a.Task.Steps) + 1 {
		r.Steps = append(r.Steps, build.Step{State: build.Succeeded})
	}
	delete(b.jobs, a.Attempt)
	b.spool[a.Attempt] = r
}

// token is what an attempt leaves: whose it was.
func token(builder string, at dispatch.Attempt) string { return at.String() + " by " + builder }

// deliver reports a spooled result until it is answered.
func (b *simBuilder) deliver(life context.Context, at dispatch.Attempt) {
	for wait := 50 * time.Millisecond; b.awake(life); wait = min(2*wait, 5*time.Second) {
		b.mu.Lock()
		r, has := b.spool[at]
		b.mu.Unlock()
		if !has {
			return
		}
		ctx, cancel := context.WithTimeout(life, 10*time.Second)
		chunk := dispatch.Chunk{Attempt: at, File: dispatch.TextFile, Data: []byte(r.Reason)}
		_, err := b.wire.Log(ctx, chunk)
		if err == nil {
			err = b.wire.End(ctx, r)
		}
		cancel()
		if err == nil || errors.Is(err, dispatch.ErrStale) {
			b.mu.Lock()
			b.forget(at)
			b.mu.Unlock()
			return
		}
		if !pause(life, wait) {
			return
		}
	}
}
