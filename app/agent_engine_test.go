package app

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/builder/require"
)

// A relay stands before the Docker engine, to be stopped in its stead.
type relay struct {
	path string
	mu   sync.Mutex
	open []io.Closer
}

// start listens until stop is called.
func (r *relay) start(t *testing.T) {
	t.Helper()
	l, err := net.Listen("unix", r.path)
	if err != nil {
		t.Fatal(err)
	}
	r.keep(l)
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("unix", strings.TrimPrefix(engineAddress(), "unix://"))
			if err != nil {
				near.Close()
				continue
			}
			r.keep(near, far)
			go func() { _, _ = io.Copy(far, near); far.Close() }()
			go func() { _, _ = io.Copy(near, far); near.Close() }()
		}
	}()
}

func (r *relay) keep(c ...io.Closer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = append(r.open, c...)
}

func (r *relay) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.open {
		c.Close()
	}
	r.open = nil
}

func engineAddress() string {
	if address := os.Getenv("DOCKER_HOST"); address != "" {
		return address
	}
	return "unix:///var/run/docker.sock"
}

// Docker is stopped in the middle of a step: that is no outcome of the task, be
// its container as it may. The next attempt, once the engine is back, passes, and
// what was left of the first is removed.
func TestEngineStopsUnderABuilder(t *testing.T) {
	image := shellImage(t)
	if address := engineAddress(); !strings.HasPrefix(address, "unix://") {
		require.Have(t, "docker", fmt.Errorf("the engine is at %s, not at a socket on this machine", address))
	}
	engine := &relay{path: filepath.Join(t.TempDir(), "engine.sock")}
	engine.start(t)
	t.Cleanup(engine.stop)
	y := newYamen(t)
	o := &outpost{home: t.TempDir()}
	if status := o.run(t.Context(), "a-token\n", "register", y.http.URL, "--name", "b1"); status != 0 {
		t.Fatalf("register ended with %d: %s", status, o.text())
	}
	behind := "DOCKER_HOST=unix://" + engine.path
	cmd := o.process(t, behind)
	boot := (<-y.here).Boot
	a := y.talking(image, 1, 10000)
	y.await(a, "line 3 ")
	engine.stop()
	if r := <-y.ends; r.Verdict != dispatch.Interrupted || r.Attempt != a {
		t.Errorf("ended %+v", r)
	}
	engine.start(t)
	a = y.talking(image, 2, 2)
	if r := <-y.ends; r.Verdict != dispatch.Succeeded || r.Attempt != a || !strings.HasSuffix(y.log(a), "hello kept ***\n") {
		t.Errorf("ended %+v, its log %q", r, y.log(a))
	}
	stopProcess(t, cmd)
	cmd = o.process(t, behind) // which removes leftovers before it is here
	for (<-y.here).Boot == boot {
	}
	stopProcess(t, cmd)
}
