//go:build linux

package chaos

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// A flow is what a line does with one direction of its bytes.
type flow struct {
	cut   bool          // nothing arrives; it is held back and not lost, as TCP would have it
	delay time.Duration // of every piece
}

// A line is the network between one builder and the architect: it carries TCP
// connections to one address, as well as it is told to.
type line struct {
	listener net.Listener
	to       string
	running  sync.WaitGroup

	mu      sync.Mutex
	flows   [2]flow // up, to the architect, and down
	changed chan struct{}
	calls   map[*call]bool
	closed  bool
}

const (
	up = iota
	down
)

// A call is one connection and what the line makes of it.
type call struct {
	near, far net.Conn
	over      chan struct{} // closed: the call is hung up
	once      sync.Once
}

// hangUp ends a call; reset makes both sides see a broken connection.
func (c *call) hangUp(reset bool) {
	c.once.Do(func() {
		close(c.over)
		for _, conn := range []net.Conn{c.near, c.far} {
			if tcp, ok := conn.(*net.TCPConn); ok && reset {
				_ = tcp.SetLinger(0) // it may be closed already
			}
			_ = conn.Close()
		}
	})
}

// newLine listens on a port of its own. Whether somebody is at the other end
// shows with every call.
func newLine(t *testing.T, to string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{listener: listener, to: to, changed: make(chan struct{}), calls: map[*call]bool{}}
	l.running.Go(l.accept)
	t.Cleanup(l.close)
	return l
}

func (l *line) address() string { return l.listener.Addr().String() }

func (l *line) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return // closed
		}
		l.running.Go(func() { l.connect(near) })
	}
}

func (l *line) connect(near net.Conn) {
	far, err := net.Dial("tcp", l.to)
	if err != nil {
		_ = near.Close() // nobody is there
		return
	}
	c := &call{near: near, far: far, over: make(chan struct{})}
	l.mu.Lock()
	l.calls[c] = true
	closed := l.closed
	l.mu.Unlock()
	if closed {
		c.hangUp(false)
	}
	var both sync.WaitGroup
	both.Go(func() { l.pump(c, far, near, up) })
	both.Go(func() { l.pump(c, near, far, down) })
	both.Wait()
	l.mu.Lock()
	delete(l.calls, c)
	l.mu.Unlock()
}

// pump carries one direction of a call until it ends.
func (l *line) pump(c *call, to io.Writer, from io.Reader, direction int) {
	defer c.hangUp(false)
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if !l.pass(c, direction) {
			return
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// pass returns once the direction lets a piece through; false if the call ends first.
func (l *line) pass(c *call, direction int) bool {
	l.mu.Lock()
	f, changed := l.flows[direction], l.changed
	l.mu.Unlock()
	if f.delay > 0 {
		timer := time.NewTimer(f.delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.over:
			return false
		}
	}
	for f.cut {
		select {
		case <-changed:
		case <-c.over:
			return false
		}
		l.mu.Lock()
		f, changed = l.flows[direction], l.changed
		l.mu.Unlock()
	}
	return true
}

// set changes both directions, for the calls that there are and all later ones.
func (l *line) set(upward, downward flow) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flows = [2]flow{up: upward, down: downward}
	close(l.changed)
	l.changed = make(chan struct{})
}

// reset breaks all calls.
func (l *line) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.calls {
		c.hangUp(true)
	}
}

func (l *line) close() {
	_ = l.listener.Close()
	l.mu.Lock()
	l.closed = true
	for c := range l.calls {
		c.hangUp(false)
	}
	l.mu.Unlock()
	l.running.Wait()
}

// What is cut arrives in the end, in order; what is reset does not.
func TestLine(t *testing.T) {
	there, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	l := newLine(t, there.Addr().String())
	here, err := net.Dial("tcp", l.address())
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	far, err := there.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	say := func(from, to net.Conn, word string) error {
		if _, err := io.WriteString(from, word); err != nil {
			return err
		}
		got := make([]byte, len(word))
		if _, err := io.ReadFull(to, got); err != nil {
			return err
		}
		if string(got) != word {
			t.Errorf("%q arrived, want %q", got, word)
		}
		return nil
	}
	l.set(flow{cut: true}, flow{delay: time.Millisecond})
	if _, err := io.WriteString(here, "one "); err != nil {
		t.Fatal(err)
	}
	if err := say(far, here, "answer"); err != nil {
		t.Errorf("the other direction: %v", err)
	}
	if err := far.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := far.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Errorf("%d bytes came through a line that is cut, %v", n, err)
	}
	if err := far.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	l.set(flow{}, flow{})
	got := make([]byte, 4)
	if _, err := io.ReadFull(far, got); err != nil || string(got) != "one " {
		t.Errorf("after the cut %q arrived, %v", got, err)
	}
	if err := say(here, far, "two"); err != nil {
		t.Error(err)
	}
	l.reset()
	if err := say(far, here, "lost"); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("after a reset: %v", err)
	}
}
