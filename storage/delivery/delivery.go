// Package delivery keeps what forges send, from the moment it is answered until it
// is worked off, and a log of it for 30 days, in the architect's own bare
// repository.
//
// All of it is behind one ref, Ref, whose commits have no parents: what was worked
// off and has outlived its time is reached by nothing any more, and goes when packs
// are merged. A change touches a few small folders, however much is kept. Changes
// that come while others are being written are written together, so what a disk can
// sync in a second bounds the batches and not the deliveries.
//
// Nothing here looks into a delivery. Keys are names and no more: whoever chooses
// them decides what counts as a repeat.
package delivery

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/velocity-ci/velocity/storage/git"
)

// Ref leads to the deliveries in their repository.
const Ref = "refs/velocity/deliveries"

const (
	// MaxBody bounds the body of a delivery, in bytes: the most that forges send.
	MaxBody = 25 << 20
	// MaxTries is how often a delivery is begun that is never ended. A process that
	// dies of it must not do so for ever.
	MaxTries = 3
	// KeepBodies is how long after its arrival a delivery can be read that was worked
	// off; a day is dropped as a whole, so it may be up to a day longer.
	KeepBodies = 3 * 24 * time.Hour
	// KeepEntries is how long repeats are known, and the log goes back; up to a day
	// longer, too.
	KeepEntries = 30 * 24 * time.Hour
)

// ErrNone means that there is no such delivery, or not any more.
var ErrNone = errors.New("no such delivery")

// A RefusedError means that a delivery cannot be kept as it is.
type RefusedError struct{ Field, Reason string }

func (e *RefusedError) Error() string { return e.Field + ": " + e.Reason }

// A Delivery is what a forge sent.
type Delivery struct {
	Forge    string    // such as "github"
	Key      string    // equal for the repeats of one delivery
	Event    string    // as the forge names it; texts above 256 bytes are cut
	Body     []byte    // must not be changed after Accept
	Received time.Time // by our clock
}

var (
	keyForm   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	forgeForm = regexp.MustCompile(`^[a-z]{1,20}$`)
)

// maxKey bounds the key of a delivery, in bytes.
const maxKey = 100

func isKey(text string) bool { return len(text) <= maxKey && keyForm.MatchString(text) }

func (d *Delivery) check() error {
	switch {
	case !isKey(d.Key):
		return &RefusedError{"key", fmt.Sprintf("%.120q is not up to 100 lower-case letters, digits and hyphens", d.Key)}
	case !forgeForm.MatchString(d.Forge):
		return &RefusedError{"forge", fmt.Sprintf("%.40q is not a forge's name", d.Forge)}
	case d.Received.Year() < 1970 || d.Received.Year() > 9999:
		return &RefusedError{"received", "the time is missing or out of range"}
	case len(d.Body) > MaxBody:
		return &RefusedError{"body", fmt.Sprintf("%d bytes are more than %d", len(d.Body), MaxBody)}
	}
	return nil
}

// An Inbox is the deliveries in one repository. Its methods are safe for concurrent
// use, in this process and beside others. Those that change something return nil
// only once that would survive a loss of power; after an error of their context it
// may be recorded all the same.
type Inbox struct {
	repo *git.Repository
	now  func() time.Time

	turn chan struct{} // capacity 1: held by whoever writes
	wake chan struct{} // capacity 1: there is something for Run

	mu      sync.Mutex
	queue   []*change
	fresh   map[string]bool // taken in by this process, and not begun yet
	begun   map[string]bool // tries of this process that have no end yet
	refused map[refusal]int
	written int // packs since they were last merged

	walk memory
}

// Open is the inbox in repo. It reads nothing yet and writes nothing. Packs are
// merged, and refusals recorded, while Run runs.
func Open(repo *git.Repository, now func() time.Time) *Inbox {
	return &Inbox{
		repo: repo, now: now, turn: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		fresh: map[string]bool{}, begun: map[string]bool{}, refused: map[refusal]int{},
	}
}

// Accept takes a delivery in. One that waits, or that was worked off within
// KeepEntries, is nil and changes nothing; one that was put away waits once more.
// Errors: *RefusedError.
func (b *Inbox) Accept(ctx context.Context, d Delivery) error {
	return b.AcceptAhead(ctx, d, func() {})
}

// AcceptAhead is Accept that calls ahead, once, when the delivery turns out to be one
// that is taken in, and before it is written: what it will need may be begun
// meanwhile. ahead must not wait, for others wait for it; and writing may still fail.
func (b *Inbox) AcceptAhead(ctx context.Context, d Delivery, ahead func()) error {
	if err := d.check(); err != nil {
		return fmt.Errorf("keep delivery: %w", err)
	}
	taken, called := false, false
	err := b.do(ctx, len(d.Body), func(s *sheet) (err error) {
		taken, err = s.accept(&d)
		if taken && !called {
			called = true
			ahead()
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("keep delivery %s: %w", d.Key, err)
	}
	if taken {
		b.mu.Lock()
		b.fresh[d.Key] = true
		b.mu.Unlock()
	}
	return nil
}

// Begin counts a try before it is made. more is false if none shall be made: the
// delivery waits no more, or has been begun MaxTries times without an end and is
// put away by this call. The first try of what this process took in was counted with
// that, and costs nothing here. Errors: ErrNone.
func (b *Inbox) Begin(ctx context.Context, key string) (more bool, err error) {
	if b.beginFresh(key) {
		return true, nil
	}
	err = b.do(ctx, 0, func(s *sheet) (err error) {
		more, err = s.begin(key)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("begin delivery %.120s: %w", key, err)
	}
	b.note(key, more)
	return more, nil
}

// beginFresh reports whether the try was counted already. What another process has
// changed since, or what cannot be read, is for others to deal with.
func (b *Inbox) beginFresh(key string) bool {
	b.mu.Lock()
	fresh := b.fresh[key]
	delete(b.fresh, key)
	b.mu.Unlock()
	if !fresh {
		return false
	}
	err := b.view(func(s *sheet) error {
		p, err := s.find(key)
		if err != nil {
			return err
		}
		e, err := s.entry(p, key)
		fresh = p.base != "" && e.Tries == 1
		return err
	})
	if err == nil && fresh {
		b.note(key, true)
	}
	return err == nil && fresh
}

// Done ends a delivery with what was done, a word and a remark. One that was ended
// before stays as it is. Errors: ErrNone.
func (b *Inbox) Done(ctx context.Context, key, action, remark string) error {
	return b.end(ctx, key, func(e *Entry) { e.State, e.Action, e.Note = Done, action, remark })
}

// Failed puts away a delivery that can never be worked off. One that was ended
// before stays as it is. Errors: ErrNone.
func (b *Inbox) Failed(ctx context.Context, key, reason string) error {
	return b.end(ctx, key, func(e *Entry) { e.State, e.Note = Failed, reason })
}

func (b *Inbox) end(ctx context.Context, key string, with func(*Entry)) error {
	if err := b.do(ctx, 0, func(s *sheet) error { return s.finish(key, with) }); err != nil {
		return fmt.Errorf("end delivery %.120s: %w", key, err)
	}
	b.note(key, false)
	return nil
}

// Postpone ends a try that shall be made again: it does not count, and the delivery
// waits where it was. Errors: ErrNone.
func (b *Inbox) Postpone(ctx context.Context, key, reason string) error {
	if err := b.do(ctx, 0, func(s *sheet) error { return s.postpone(key, reason) }); err != nil {
		return fmt.Errorf("postpone delivery %.120s: %w", key, err)
	}
	b.note(key, false)
	return nil
}

func (b *Inbox) note(key string, begun bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.fresh, key)
	delete(b.begun, key)
	if begun {
		b.begun[key] = true
	}
}

// Release postpones what this process has begun, or taken in, and not ended. A server that is
// stopped in good order calls it last: stops are not what tries are counted for.
func (b *Inbox) Release(ctx context.Context) error {
	b.mu.Lock()
	var keys []string
	for _, counted := range []map[string]bool{b.begun, b.fresh} {
		for key := range counted {
			keys = append(keys, key)
		}
		clear(counted)
	}
	b.mu.Unlock()
	if len(keys) == 0 {
		return nil
	}
	err := b.do(ctx, 0, func(s *sheet) error {
		for _, key := range keys {
			if err := s.postpone(key, "the server was stopped"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("release deliveries: %w", err)
	}
	return nil
}
