package app_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// files are contents by path.
type files = map[string]string

// pipeline is a configuration with two stages. Files decide what the first does:
// with a file "hold" it waits at the gate, with "broken" it fails.
func (w *town) pipeline() files {
	return files{
		".velocityci/pipelines/default.yml": "stages:\n- {name: test, blueprints: [unit]}\n- {name: pack, blueprints: [pack]}\n",
		".velocityci/blueprints/unit.yml":   "steps: [{type: run, script: 'echo unit; test ! -e hold || cat " + w.gate() + "; test ! -e broken'}]\n",
		".velocityci/blueprints/pack.yml":   "steps: [{type: run, script: 'echo pack'}]\n",
	}
}

// gate is a pipe at which builds wait that hold.
func (w *town) gate() string { return filepath.Join(w.home, "gate") }

// wall makes the gate.
func (w *town) wall() {
	w.t.Helper()
	if err := unix.Mkfifo(w.gate(), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// open lets the build go on that waits at the gate, or is about to.
func (w *town) open() {
	w.t.Helper()
	opened := make(chan error, 1)
	go func() {
		pipe, err := os.OpenFile(w.gate(), os.O_WRONLY, 0) // waits for the reader
		if err == nil {
			err = pipe.Close()
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		if err != nil {
			w.t.Fatal(err)
		}
	case <-atHome(w.t).Done():
		w.t.Fatal("nobody came to the gate")
	}
}

// raze lets everybody through for ever.
func (w *town) raze() {
	hole := filepath.Join(w.home, "hole")
	pipe, err := os.OpenFile(w.gate(), os.O_RDWR, 0) // whoever waits gets on
	if err == nil {
		err = errors.Join(os.WriteFile(hole, nil, 0o600), os.Rename(hole, w.gate()), pipe.Close())
	}
	if err != nil {
		w.t.Error(err)
	}
}

// A gateway is an address that leads to the server, also to the one that is started
// after another has ended.
type gateway struct {
	listener net.Listener
	work     sync.WaitGroup

	mu    sync.Mutex
	to    string // "" while there is no server
	conns map[net.Conn]bool
}

func newGateway(t *testing.T) *gateway {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{listener: l, conns: map[net.Conn]bool{}}
	g.work.Go(g.accept)
	t.Cleanup(func() {
		_ = l.Close() // accept ends
		g.leadTo("")
		g.work.Wait()
	})
	return g
}

func (g *gateway) url() string { return "http://" + g.listener.Addr().String() }

// leadTo is where connections go from now on. Those that there are end.
func (g *gateway) leadTo(address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.to = address
	for c := range g.conns {
		_ = c.Close() // whoever uses it hears of it
	}
}

func (g *gateway) accept() {
	for {
		c, err := g.listener.Accept()
		if err != nil {
			return
		}
		g.work.Go(func() { g.join(c) })
	}
}

// join connects a connection with the server.
func (g *gateway) join(c net.Conn) {
	g.mu.Lock()
	to := g.to
	g.mu.Unlock()
	if to == "" {
		_ = c.Close()
		return
	}
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", to)
	if err != nil {
		_ = c.Close()
		return
	}
	g.mu.Lock()
	g.conns[c], g.conns[server] = true, true
	if g.to != to {
		_, _ = c.Close(), server.Close()
	}
	g.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{c, server}, {server, c}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // how it ends is for the two to find out
			_ = way[0].Close()
		})
	}
	both.Wait()
	g.mu.Lock()
	delete(g.conns, c)
	delete(g.conns, server)
	g.mu.Unlock()
}
