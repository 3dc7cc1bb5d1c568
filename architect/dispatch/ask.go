package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// request sends a body and turns the answer into an error.
func request[T any](ctx context.Context, conn *nats.Conn, to string, body T) error {
	data, err := encode(body)
	if err != nil {
		return err
	}
	m := nats.NewMsg(to)
	m.Data = data
	_, err = ask(ctx, conn, m)
	return err
}

func ask(ctx context.Context, conn *nats.Conn, m *nats.Msg) (answer, error) {
	reply, err := conn.RequestMsgWithContext(ctx, m)
	if err != nil {
		return answer{}, fmt.Errorf("ask %s: %w", m.Subject, err)
	}
	a, err := decode[answer](reply.Data)
	if err != nil {
		return answer{}, err
	}
	return a, a.err()
}

const (
	// returnWithin is how long somebody who is not there may take to come back: a
	// connection to a server that died is made again within about a second.
	returnWithin = 2 * time.Second
	// askEvery bounds the wait for one answer if there may be more: the question, or
	// the answer, was lost with a server.
	askEvery = 3 * time.Second
	// absentEvery is the pace at which somebody who is not there is asked again.
	absentEvery = 100 * time.Millisecond
)

// askAgain asks until there is an answer or ctx ends. The question must be
// harmless when it arrives twice.
func askAgain(ctx context.Context, conn *nats.Conn, m *nats.Msg) error {
	for absent := time.Duration(0); ; {
		once, cancel := context.WithTimeout(ctx, askEvery)
		_, err := ask(once, conn, m)
		cancel()
		switch {
		case errors.Is(err, nats.ErrNoResponders), errors.Is(err, nats.ErrReconnectBufExceeded):
			if absent += absentEvery; absent > returnWithin || !pause(ctx, absentEvery) {
				return err
			}
		case !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil:
			return err
		}
	}
}
