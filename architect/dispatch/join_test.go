package dispatch_test

import (
	"context"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/dispatch"
)

// A cable leads to a server, and can be cut.
type cable struct {
	net.Listener
	to  string
	cut atomic.Bool // the connection that says the next word breaks
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	c := &cable{Listener: listener, to: to}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			go c.carry(near)
		}
	}()
	return c
}

// carry takes bytes both ways until one end is gone or the cable is cut.
func (c *cable) carry(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer far.Close()
	go func() {
		_, _ = io.Copy(near, far)
		_ = near.Close()
	}()
	for buffer := make([]byte, 4096); ; {
		n, err := near.Read(buffer)
		if err != nil || c.cut.CompareAndSwap(true, false) {
			return
		}
		if _, err := far.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// A builder whose connection breaks while it joins has joined when it is back.
func TestJoinOverBreak(t *testing.T) {
	r := newRig(t, "b-1")
	hub := r.listen(t, &recorder{})
	c := newCable(t, r.plain.Listener.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := dispatch.Dial(ctx, "ws://"+c.Addr().String()+"/nats", "b-1", r.keys["b-1"], dispatch.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	c.cut.Store(true)
	worker := &recorder{}
	r.join(t, conn, "b-1", worker)
	eventually(t, func(ctx context.Context) error { return hub.Cancel(ctx, "b-1", attempt, "canceled") })
	if c.cut.Load() || conn.Stats().Reconnects != 1 {
		t.Errorf("the connection was made again %d times; want 1", conn.Stats().Reconnects)
	}
}

// One that was closed by this side has not joined.
func TestJoinClosed(t *testing.T) {
	r := newRig(t, "b-1")
	conn := r.dial(t, "ws", "b-1", r.keys["b-1"])
	conn.Close()
	_, err := dispatch.Join(conn, "b-1", &recorder{}, dispatch.Trust{Architect: r.signer.Public(), Keys: r.keys["b-1"]})
	if err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("Join over a closed connection = %v; want an error", err)
	}
}
