package dispatch

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// A HeldError says that another architect works on the same NATS account.
type HeldError struct{ Holder string }

func (e *HeldError) Error() string {
	return fmt.Sprintf("architect %s works on this NATS account: stop it first, or give this one an account of its own", e.Holder)
}

// A claim is what architects ask and answer each other.
type claim struct {
	Name  string
	Nonce string // random: tells an architect from itself, and decides between two that came together
	Holds bool
}

const (
	// holdAsks questions, holdEvery apart, find another architect. One would do on
	// one server; in a cluster, word of a subscription takes a moment to get round.
	holdAsks  = 4
	holdEvery = 250 * time.Millisecond
	// holdWithin bounds a claim on a server that does not answer.
	holdWithin = 15 * time.Second
)

// A Hold is an architect's claim to a NATS account. It answers for itself until
// Release.
type Hold struct {
	self  claim
	holds atomic.Bool
	sub   *nats.Subscription
}

// HoldAccount claims the account of conn for the architect called name, which
// people see. It takes a second, and returns a *HeldError if a live architect
// holds the account already; of two that claim it at the same time one gets it.
// It must be called before Listen on an external NATS, and only there: what it
// cannot see, an architect cut off from this part of the cluster, the epoch in
// every record in git catches.
func HoldAccount(ctx context.Context, conn *nats.Conn, name string) (*Hold, error) {
	ctx, cancel := context.WithTimeout(ctx, holdWithin)
	defer cancel()
	h := &Hold{self: claim{Name: name, Nonce: rand.Text()}}
	var err error
	// Listening comes before asking: of two at the same time, one at least hears.
	if h.sub, err = conn.Subscribe(subjectWho, h.answer); err != nil {
		return nil, fmt.Errorf("claim the NATS account: %w", err)
	}
	if err := h.contest(ctx, conn); err != nil {
		h.Release()
		return nil, err
	}
	h.holds.Store(true)
	return h, nil
}

// contest asks all architects who they are and returns nil if this one goes on.
func (h *Hold) contest(ctx context.Context, conn *nats.Conn) error {
	inbox := conn.NewInbox()
	replies := make(chan *nats.Msg, 64)
	sub, err := conn.ChanSubscribe(inbox, replies)
	if err != nil {
		return fmt.Errorf("claim the NATS account: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only on a closed connection
	question, err := encode(h.self)
	if err != nil {
		return err
	}
	for range holdAsks {
		if err := conn.PublishRequest(subjectWho, inbox, question); err != nil {
			return fmt.Errorf("claim the NATS account: %w", err)
		}
		if err := conn.FlushWithContext(ctx); err != nil {
			return fmt.Errorf("claim the NATS account: %w", err)
		}
		select {
		case <-time.After(holdEvery):
		case <-ctx.Done():
			return fmt.Errorf("claim the NATS account: %w", context.Cause(ctx))
		}
		// What the server has by now counts, also if this process had no time to run
		// meanwhile.
		if err := conn.FlushWithContext(ctx); err != nil {
			return fmt.Errorf("claim the NATS account: %w", err)
		}
		for len(replies) > 0 {
			if err := h.judge(<-replies); err != nil {
				return err
			}
		}
	}
	return nil
}

// judge returns a *HeldError if an answer is from who comes first.
func (h *Hold) judge(answer *nats.Msg) error {
	other, err := decode[claim](answer.Data)
	if err != nil || other.Nonce == h.self.Nonce { // no responders, or ourselves
		return nil //nolint:nilerr // nobody, or nobody who can hold it
	}
	if other.Holds || other.Nonce < h.self.Nonce {
		return &HeldError{Holder: other.Name}
	}
	return nil
}

func (h *Hold) answer(m *nats.Msg) {
	mine := h.self
	mine.Holds = h.holds.Load()
	if data, err := encode(mine); err == nil {
		_ = m.Respond(data) // who asks asks again
	}
}

// Release gives the account free.
func (h *Hold) Release() {
	_ = h.sub.Unsubscribe() // fails only on a closed connection
}
