package dispatch

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
)

// A Worker is the builder's side of what the architect says. Take returns at
// once: nil if the attempt has been begun, now or by the same message earlier,
// a *RefusedError if it will not be. Stop of an attempt it does not have is nil.
type Worker interface {
	Take(a Assignment) error
	Stop(a Attempt, reason string) error
}

// A Trust is what a builder believes assignments by, and opens them with.
type Trust struct {
	Architect string // the public key of the Signer, kept since the registration
	Keys      *Keys
	Log       *slog.Logger     // told of refusals; nil: nobody is
	Now       func() time.Time // nil: the machine's clock
}

func (t Trust) now() time.Time {
	if t.Now == nil {
		return time.Now()
	}
	return t.Now()
}

// A Link is a builder's end of the wire.
type Link struct {
	conn *nats.Conn
	name string
	subs []*nats.Subscription
}

// Join makes worker reachable under name, which must be the one that conn was
// dialled with. Assignments that trust does not cover are refused without asking
// worker. Close ends it.
func Join(conn *nats.Conn, name string, worker Worker, trust Trust) (*Link, error) {
	if !ValidName(name) {
		return nil, badName(name)
	}
	l := &Link{conn: conn, name: name}
	for verb, handle := range map[string]func(m *nats.Msg) error{
		verbAssign: func(m *nats.Msg) error {
			a, err := decodeOffer(trust, name, m)
			if err != nil {
				if trust.Log != nil {
					trust.Log.Warn("assignment refused", "builder", name, "err", err)
				}
				return err
			}
			return worker.Take(a)
		},
		verbCancel: func(m *nats.Msg) error {
			s, err := decode[stop](m.Data)
			if err != nil {
				return err
			}
			return worker.Stop(s.Attempt, s.Reason)
		},
	} {
		sub, err := conn.Subscribe(subject(name, verb), func(m *nats.Msg) {
			if data, err := encode(answerFor(handle(m))); err == nil {
				_ = m.Respond(data) // a lost answer is asked for again
			}
		})
		if err != nil {
			l.Close()
			return nil, fmt.Errorf("listen for %s: %w", verb, err)
		}
		l.subs = append(l.subs, sub)
	}
	// Who hears of this builder may ask it at once. A connection that breaks meanwhile
	// is made again, and says first what is listened for.
	if err := conn.Flush(); err != nil && conn.IsClosed() {
		l.Close()
		return nil, fmt.Errorf("join: %w", err)
	}
	return l, nil
}

// Close stops listening. The connection stays the caller's.
func (l *Link) Close() {
	for _, s := range l.subs {
		_ = s.Unsubscribe() // fails only on a closed connection
	}
}

// Here sends a sign of life.
func (l *Link) Here(ctx context.Context, p Presence) error {
	p.Builder = l.name
	return request(ctx, l.conn, subject(l.name, verbHere), p)
}

// Step tells how far an attempt is.
func (l *Link) Step(ctx context.Context, p Progress) error {
	return request(ctx, l.conn, subject(l.name, verbStep), p)
}

// Log sends a piece of a log and returns how much of it the architect has.
func (l *Link) Log(ctx context.Context, c Chunk) (int64, error) {
	a, err := ask(ctx, l.conn, encodeChunk(subject(l.name, verbLog), c))
	return a.Offset, err
}

// End reports how an attempt ended. nil means that the architect will not forget
// it.
func (l *Link) End(ctx context.Context, r Result) error {
	return request(ctx, l.conn, subject(l.name, verbEnd), r)
}
