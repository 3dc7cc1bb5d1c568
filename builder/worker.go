package builder

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/velocity-ci/velocity/architect/dispatch"
)

// rememberEnded bounds the memory of attempts that are over.
const rememberEnded = 256

// A slot is an attempt that the builder has.
type slot struct {
	stop context.CancelCauseFunc // ends its work
	drop context.CancelCauseFunc // gives up its report; for ever if the cause is ErrStale
	done chan struct{}           // closed when nothing of it is left
	over bool                    // its work has ended or is not wanted: it takes no capacity
}

// Take begins an attempt. It returns nil if the attempt was begun, now or
// earlier, and a *dispatch.RefusedError if it will not be. An older attempt of
// the same task is stopped first. An attempt that Take began ends by itself, by
// Stop, or when Run does.
func (b *Builder) Take(a dispatch.Assignment) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, has := b.slots[a.Attempt]; has || slices.Contains(b.ended, a.Attempt) {
		return nil
	}
	if newer := b.newest(a.Attempt); newer > a.Attempt.Number {
		return &dispatch.RefusedError{Reason: fmt.Sprintf("attempt %d of the task has been begun", newer)}
	}
	older := b.supersede(a.Attempt)
	if reason := cmp.Or(b.refusal(), b.aversion(a)); reason != "" {
		return &dispatch.RefusedError{Reason: reason}
	}
	b.begin(a, older)
	return nil
}

// Stop ends an attempt as failed with the reason. It returns at once; the result
// tells when the attempt is over.
func (b *Builder) Stop(a dispatch.Attempt, reason string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s, ok := b.slots[a]; ok {
		s.stop(canceled(reason))
	}
	return nil
}

// newest is the number of the last attempt of a's task that was begun here, as
// far as remembered, or 0. The caller holds b.mu, as with the methods below.
func (b *Builder) newest(a dispatch.Attempt) int {
	newest := 0
	for _, have := range slices.AppendSeq(slices.Clone(b.ended), maps.Keys(b.slots)) {
		if have.Build == a.Build && have.Task == a.Task {
			newest = max(newest, have.Number)
		}
	}
	return newest
}

// supersede ends the attempts that a replaces, and returns what tells when they
// are gone.
func (b *Builder) supersede(a dispatch.Attempt) []<-chan struct{} {
	var gone []<-chan struct{}
	for have, s := range b.slots {
		if have.Build != a.Build || have.Task != a.Task {
			continue
		}
		s.stop(dispatch.ErrStale)
		s.drop(dispatch.ErrStale)
		s.over = true
		gone = append(gone, s.done)
	}
	return gone
}

// refusal is why the builder takes nothing now, or "".
func (b *Builder) refusal() string {
	busy := 0
	for _, s := range b.slots {
		if !s.over {
			busy++
		}
	}
	switch {
	case b.halted:
		return "builder is stopping"
	case b.draining:
		return "builder is draining"
	case busy >= b.Capacity:
		return fmt.Sprintf("builder is full: %d of %d attempts are running", busy, b.Capacity)
	}
	return b.unfitness()
}

// begin starts the attempt's goroutine, which first waits for older ones: they
// may share a workspace.
func (b *Builder) begin(a dispatch.Assignment, older []<-chan struct{}) {
	work, stop := context.WithCancelCause(context.Background())
	reporting, drop := context.WithCancelCause(context.Background())
	s := b.occupy(a.Attempt, stop, drop)
	b.attempts.Go(func() {
		for _, gone := range older {
			<-gone
		}
		b.run(work, reporting, a, s)
		stop(nil)
		drop(nil)
		b.leave(a.Attempt, s)
	})
}

func (b *Builder) occupy(a dispatch.Attempt, stop, drop context.CancelCauseFunc) *slot {
	s := &slot{stop: stop, drop: drop, done: make(chan struct{})}
	if b.slots == nil {
		b.slots = map[dispatch.Attempt]*slot{}
	}
	b.slots[a] = s
	return s
}

// finished frees the slot's capacity: the architect may answer the result with
// the next assignment.
func (b *Builder) finished(s *slot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.over = true
	b.tellLeft()
}

// tellLeft wakes who waits for attempts to end. The caller holds b.mu.
func (b *Builder) tellLeft() {
	if b.left != nil {
		close(b.left)
		b.left = nil
	}
}

func (b *Builder) leave(a dispatch.Attempt, s *slot) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.slots, a)
	if b.ended = append(b.ended, a); len(b.ended) > rememberEnded {
		b.ended = slices.Delete(b.ended, 0, 1)
	}
	close(s.done)
	b.tellLeft()
}
