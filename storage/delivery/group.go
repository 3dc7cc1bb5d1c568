package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/velocity-ci/velocity/storage/git"
)

// A change waits for its turn to be written, alone or with others.
type change struct {
	size int                // bytes of what it brings
	draw func(*sheet) error // called anew after each race that was lost
	done chan struct{}      // closed when err counts
	err  error
}

// Bounds of what is written together: in bytes for the memory it takes, and in
// changes so that the first one does not wait for too many others.
const (
	batchBytes   = 32 << 20
	batchChanges = 256
)

// maxRaces bounds the races with other processes that one batch may lose.
const maxRaces = 100

// do has a change written. Batches need no timer: what comes while one is written
// is the next, by whichever of the waiting callers gets the turn.
func (b *Inbox) do(ctx context.Context, size int, draw func(*sheet) error) error {
	c := &change{size: size, draw: draw, done: make(chan struct{})}
	b.mu.Lock()
	b.queue = append(b.queue, c)
	b.mu.Unlock()
	for {
		select {
		case <-c.done:
			return c.err
		case b.turn <- struct{}{}:
			// The others in the batch must not fail for the impatience of this caller.
			b.write(context.WithoutCancel(ctx), c)
			<-b.turn
		case <-ctx.Done():
			b.withdraw(c)
			select {
			case <-c.done: // both came at once
				return c.err
			default:
				return context.Cause(ctx)
			}
		}
	}
}

func (b *Inbox) withdraw(c *change) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = slices.DeleteFunc(b.queue, func(other *change) bool { return other == c })
}

// take is the next batch; nothing if own was written already.
func (b *Inbox) take(own *change) []*change {
	select {
	case <-own.done:
		return nil
	default:
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	n, size := 0, 0
	for n < min(len(b.queue), batchChanges) && (n == 0 || size+b.queue[n].size <= batchBytes) {
		size += b.queue[n].size
		n++
	}
	taken := b.queue[:n:n]
	b.queue = slices.Clone(b.queue[n:])
	return taken
}

func (b *Inbox) write(ctx context.Context, own *change) {
	batch := b.take(own)
	if len(batch) == 0 {
		return
	}
	err := b.commit(ctx, batch)
	for _, c := range batch {
		if err != nil {
			c.err = err
		}
		close(c.done)
	}
}

// commit makes a batch durable. A change that cannot be drawn has an error of its
// own, and the others are written.
func (b *Inbox) commit(ctx context.Context, batch []*change) error {
	for range maxRaces {
		s, err := b.sheet()
		if err != nil {
			return err
		}
		damaged := false
		for _, c := range batch {
			c.err = c.draw(s)
			damaged = damaged || errors.Is(c.err, git.ErrObjectNotFound)
		}
		if damaged && s.moved() {
			continue // another process went on, and merged what was being read
		}
		if err := s.expire(); err != nil {
			return err
		}
		if len(s.edits) == 0 {
			return nil
		}
		if err := s.write(ctx, len(batch)); !errors.Is(err, git.ErrRefMoved) {
			b.count()
			return err
		}
	}
	return fmt.Errorf("gave up after %d tries: %w", maxRaces, git.ErrRefMoved)
}

// count counts a pack.
func (b *Inbox) count() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.written++; b.written >= packs {
		b.rouse()
	}
}

func (b *Inbox) rouse() {
	select {
	case b.wake <- struct{}{}:
	default: // Run is about to look anyway
	}
}
