package docker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/docker/client"

	"github.com/velocity-ci/velocity/builder/executor"
)

// A proxy stands between an executor and the engine, to go away in its stead.
type proxy struct {
	net.Listener
	busy    sync.WaitGroup
	waiting *cue // seen once a container is waited for

	mu    sync.Mutex
	links []*link
}

// A link is one connection through a proxy.
type link struct {
	near, far net.Conn
	asked     bytes.Buffer
}

func newProxy(t *testing.T) *proxy {
	t.Helper()
	api := newClient(t)
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "engine.sock"))
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: l, waiting: newCue("/wait")}
	p.busy.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := api.Dialer()(context.Background())
			if err != nil {
				near.Close()
				continue
			}
			p.join(&link{near: near, far: far})
		}
	})
	t.Cleanup(func() { p.vanish(); p.busy.Wait() })
	return p
}

func (p *proxy) join(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links = append(p.links, l)
	p.busy.Go(func() { _, _ = io.Copy(io.MultiWriter(l.far, asking{p, l}), l.near); l.far.Close() })
	p.busy.Go(func() { _, _ = io.Copy(l.near, l.far); l.near.Close() })
}

// asking notes what is asked for on a link.
type asking struct {
	*proxy
	*link
}

func (a asking) Write(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked.Write(b)
	return a.waiting.Write(b)
}

func (p *proxy) option() client.Opt { return client.WithHost("unix://" + p.Addr().String()) }

// cut closes the links on which path was asked for, the newest first: the end of
// the one that Run reads from wakes it, and what it asks next must not go out on
// one that is about to be closed.
func (p *proxy) cut(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range slices.Backward(p.links) {
		if strings.Contains(l.asked.String(), path) {
			l.near.Close()
			l.far.Close()
		}
	}
}

// vanish is what kill -9 of the engine looks like from here.
func (p *proxy) vanish() {
	p.Close()
	p.cut("")
}

// A container that nobody watches any more may come to any end: that is no
// outcome. What it leaves behind is reaped once an engine answers again.
func TestEngineVanishes(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(*proxy)
		left  int // containers that Run could not remove
	}{
		"for good":          {(*proxy).vanish, 1},
		"and is back":       {func(p *proxy) { p.cut("") }, 0},
		"from output alone": {func(p *proxy) { p.cut("/attach") }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProxy(t)
			e := newExecutor(t, Limits{}, p.option())
			e.patience = time.Millisecond
			cmd := shell(t, "echo ready; sleep 1000")
			ready := newCue("ready\n")
			cmd.Stdout = ready
			go once(t.Context(), func() { c.fault(p) }, ready, p.waiting)
			result, err := e.Run(t.Context(), cmd)
			if !errors.Is(err, executor.ErrEngine) {
				t.Errorf("Run = %+v, %v, want ErrEngine", result, err)
			}
			var start *executor.StartError
			if errors.As(err, &start) {
				t.Errorf("error = %v says that the command never ran", err)
			}
			e.api = newClient(t)
			if n, err := e.Reap(t.Context(), func(string) bool { return false }); n != c.left || err != nil {
				t.Errorf("Reap = %d, %v, want %d", n, err, c.left)
			}
		})
	}
}

// An engine that shuts down closes its socket, then ends its containers: however
// they take it, that is no outcome.
func TestEngineShutsDown(t *testing.T) {
	for name, script := range map[string]string{
		"fails":  "echo ready; sleep 1000",
		"passes": "trap 'exit 0' TERM; echo ready; sleep 1000 & wait",
	} {
		t.Run(name, func(t *testing.T) {
			p := newProxy(t)
			e := newExecutor(t, Limits{}, p.option())
			cmd := shell(t, script)
			ready := newCue("ready\n")
			cmd.Stdout = ready
			api := newClient(t)
			ctx, cancel := context.WithCancel(t.Context())
			var killing sync.WaitGroup
			killed := false
			killing.Go(func() {
				once(ctx, func() {
					p.Close()
					for _, id := range containersOf(t, api, e.builder) {
						killed = api.ContainerKill(context.Background(), id, "TERM") == nil
					}
				}, ready, p.waiting)
			})
			result, err := e.Run(t.Context(), cmd)
			cancel()
			killing.Wait()
			if !killed || !errors.Is(err, executor.ErrEngine) {
				t.Errorf("killed: %v; Run = %+v, %v, want ErrEngine", killed, result, err)
			}
			e.api = api
			// Whether a connection was left by which Run could remove the
			// container is the client's luck.
			if _, err := e.Reap(t.Context(), func(string) bool { return false }); err != nil {
				t.Error(err)
			}
		})
	}
}

// An engine that accepts and never answers must not outlast the step's context.
func TestEngineHangsWhenAttachedTo(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "engine.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	api, err := client.NewClientWithOpts(client.WithHost("unix://" + l.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	hung := make(chan net.Conn, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			_, _ = conn.Read(make([]byte, 1)) // the request is under way
			hung <- conn
		}
		cancel()
	}()
	b := &box{api: api, name: "any"}
	if _, err := b.attach(ctx); err == nil {
		t.Error("attach succeeded without an answer")
	}
	(<-hung).Close()
}
