package delivery

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"time"
)

const (
	// packs is how many of them reading stands well.
	packs = 32
	// refusalsEvery is how often refusals are recorded at most: whoever is refused
	// decides how many there are.
	refusalsEvery = time.Minute
	// maxRefusals bounds the sources that are told apart between two records.
	maxRefusals = 64
)

// Recover removes the lock of the ref that a writer has left that was killed; while
// it is there nothing can be written. It is for the process that holds the state, at
// its start, when nobody else writes.
func (b *Inbox) Recover() error {
	stale, err := b.repo.StaleLocks([]string{Ref}, math.MinInt64, b.now())
	for _, path := range stale {
		if strings.HasSuffix(path, "/"+Ref+".lock") {
			err = errors.Join(err, os.Remove(path))
		}
	}
	if err != nil {
		return fmt.Errorf("recover deliveries: %w", err)
	}
	return nil
}

// A refusal is why a request was not taken, and where it came from.
type refusal struct{ reason, source string }

// Refuse counts a request that was not taken. It returns at once; what was counted
// is recorded by Run, once a minute at most. reason is one of a few fixed texts.
func (b *Inbox) Refuse(reason, source string) {
	r := refusal{clip(reason, maxText), clip(source, maxText)}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.refused[r]; !known && len(b.refused) >= maxRefusals {
		r.source = ""
	}
	b.refused[r]++
	b.rouse()
}

// Run does what nobody waits for until ctx ends: it merges packs, and records
// refusals. What fails is tried again the next time; a disk that is full shows
// where it matters.
func (b *Inbox) Run(ctx context.Context) {
	pause := time.NewTimer(0) // over: the first refusals are recorded at once
	defer pause.Stop()
	<-pause.C
	resting := false
	for {
		b.merge(ctx)
		if !resting && b.record(ctx) {
			pause.Reset(refusalsEvery)
			resting = true
		}
		select {
		case <-b.wake:
		case <-pause.C:
			resting = false
		case <-ctx.Done():
			b.record(ctx)
			return
		}
	}
}

// merge merges packs if there are enough new ones.
func (b *Inbox) merge(ctx context.Context) {
	b.mu.Lock()
	due := b.written >= packs
	if due {
		b.written = 0
	}
	b.mu.Unlock()
	if due {
		_ = b.repo.Upkeep(ctx, packs)
	}
}

// record writes down what was refused, and reports whether there was anything.
func (b *Inbox) record(ctx context.Context) bool {
	b.mu.Lock()
	refused := b.refused
	b.refused = map[refusal]int{}
	b.mu.Unlock()
	if len(refused) == 0 {
		return false
	}
	now := b.now()
	var all []Entry
	for r, n := range refused {
		all = append(all, Entry{Received: now, State: Refused, Note: r.reason, Source: r.source, Count: n})
	}
	// What was given up on may be recorded all the same, and would count twice.
	err := b.do(context.WithoutCancel(ctx), 0, func(s *sheet) error {
		return s.tell(slotOf(now), all...)
	})
	if err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		for r, n := range refused {
			b.refused[r] += n
		}
	}
	return true
}
