package dispatch

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/velocity-ci/velocity/architect/build"
)

// An Ear is the architect's side of what builders say. The builder's name comes
// from the connection, never from a message's own fields. Calls come from many
// goroutines; each returns once what it was told cannot be lost any more, or
// with ErrStale.
type Ear interface {
	Here(ctx context.Context, p Presence) error
	Step(ctx context.Context, builder string, p Progress) error
	// Log returns how many bytes of the file the architect has from its start: the
	// builder goes on from there.
	Log(ctx context.Context, builder string, c Chunk) (int64, error)
	End(ctx context.Context, builder string, r Result) error
}

// An Authority is what the architect signs and seals with.
type Authority struct {
	Signer *Signer
	// Curve is the public curve key of a registered builder. It is called for every
	// assignment, from many goroutines.
	Curve func(builder string) (public string, ok bool)
	Now   func() time.Time // nil: the machine's clock
}

// maxInFlight bounds the messages of one builder that are handled at a time. A
// builder that floods the architect is heard no more often than it is answered;
// what is dropped it will send again.
const maxInFlight = 64

// A Hub is the architect's end of the wire.
type Hub struct {
	conn *nats.Conn
	auth Authority
	subs []*nats.Subscription

	mu       sync.Mutex
	inFlight map[string]int // by builder
}

// Listen connects ear to everything that builders say on conn. Close ends it.
func Listen(conn *nats.Conn, ear Ear, auth Authority) (*Hub, error) {
	if auth.Now == nil {
		auth.Now = time.Now
	}
	h := &Hub{conn: conn, auth: auth, inFlight: map[string]int{}}
	for verb, handle := range map[string]func(ctx context.Context, builder string, m *nats.Msg) answer{
		verbHere: func(ctx context.Context, builder string, m *nats.Msg) answer {
			p, err := decode[Presence](m.Data)
			if err == nil {
				p.Builder = builder
				err = ear.Here(ctx, p)
			}
			return answerFor(err)
		},
		verbStep: func(ctx context.Context, builder string, m *nats.Msg) answer {
			p, err := decode[Progress](m.Data)
			if err == nil {
				err = ear.Step(ctx, builder, p)
			}
			return answerFor(err)
		},
		verbLog: func(ctx context.Context, builder string, m *nats.Msg) answer {
			c, err := decodeChunk(m.Header, m.Data)
			var have int64
			if err == nil {
				have, err = ear.Log(ctx, builder, c)
			}
			a := answerFor(err)
			a.Offset = have
			return a
		},
		verbEnd: func(ctx context.Context, builder string, m *nats.Msg) answer {
			r, err := decode[Result](m.Data)
			if err == nil {
				err = ear.End(ctx, builder, r)
			}
			return answerFor(err)
		},
	} {
		if err := h.listen(verb, handle); err != nil {
			h.Close()
			return nil, err
		}
	}
	if err := conn.Flush(); err != nil { // a builder may speak at once
		h.Close()
		return nil, fmt.Errorf("listen: %w", err)
	}
	return h, nil
}

// listen subscribes to one verb of all builders. Each message is handled in its
// own goroutine: a verdict that waits for the disk holds up nobody's heartbeat.
func (h *Hub) listen(verb string, handle func(context.Context, string, *nats.Msg) answer) error {
	sub, err := h.conn.Subscribe(subject("*", verb), func(m *nats.Msg) {
		builder, _, _ := strings.Cut(strings.TrimPrefix(m.Subject, subjectRoot), ".")
		if !ValidName(builder) || !inInbox(builder, m.Reply) || !h.begin(builder) {
			return
		}
		go func() {
			defer h.done(builder)
			if data, err := encode(handle(context.Background(), builder, m)); err == nil {
				_ = m.Respond(data) // a lost answer is asked for again
			}
		}()
	})
	if err != nil {
		return fmt.Errorf("listen for %s: %w", verb, err)
	}
	h.subs = append(h.subs, sub)
	return nil
}

// begin tells whether one more message of a builder may be handled now.
func (h *Hub) begin(builder string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.inFlight[builder] >= maxInFlight {
		return false
	}
	h.inFlight[builder]++
	return true
}

func (h *Hub) done(builder string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.inFlight[builder]--; h.inFlight[builder] == 0 {
		delete(h.inFlight, builder)
	}
}

// Close stops listening. The connection stays the caller's.
func (h *Hub) Close() {
	for _, s := range h.subs {
		_ = s.Unsubscribe() // fails only on a closed connection
	}
}

// Assign offers a task to a builder. It returns nil once the builder has taken
// it, a *RefusedError if it will not, and another error if no answer came: then
// the builder may or may not have it, and the attempt's number must not be used
// again. An offer that got lost is made again until ctx ends; a builder that is
// not there has returnWithin to come back, for its server may just have died.
func (h *Hub) Assign(ctx context.Context, builder string, a Assignment) error {
	curve, ok := h.auth.Curve(builder)
	if !ok {
		return fmt.Errorf("assign to %s: no builder of this name is registered", builder)
	}
	m, err := encodeOffer(h.auth.Signer, builder, curve, a, h.auth.Now())
	if err != nil {
		return fmt.Errorf("assign to %s: %w", builder, err)
	}
	return askAgain(ctx, h.conn, m)
}

// Cancel asks a builder to stop an attempt. nil means that it knows, not that
// the attempt has ended: its result says so.
func (h *Hub) Cancel(ctx context.Context, builder string, a Attempt, reason string) error {
	return request(ctx, h.conn, subject(builder, verbCancel), stop{Attempt: a, Reason: reason})
}

// Publish lets followers hear of an event. Nothing depends on its arrival.
func (h *Hub) Publish(e build.Event) error {
	data, err := encode(e)
	if err != nil {
		return err
	}
	if err := h.conn.Publish(eventRoot+e.Build.String(), data); err != nil {
		return fmt.Errorf("publish %s of %s: %w", e.Type, e.Build, err)
	}
	return nil
}
