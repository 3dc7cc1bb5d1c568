package dispatch_test

import (
	"context"
	"crypto/x509"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/architect/dispatch/server"
)

// A rig is an embedded server with registered builders, reached in every way
// there is.
type rig struct {
	server *server.Server
	signer *dispatch.Signer
	web    *httptest.Server // wss
	plain  *httptest.Server // ws

	mu   sync.Mutex
	keys map[string]*dispatch.Keys // of registered builders, by name
}

func newRig(t testing.TB, builders ...string) *rig {
	t.Helper()
	r := &rig{signer: newSigner(t), keys: map[string]*dispatch.Keys{}}
	for _, name := range builders {
		r.keys[name] = newKeys(t)
	}
	var err error
	r.server, err = server.Start(server.Options{Builder: r.builder})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.server.Stop)
	r.web, r.plain = httptest.NewTLSServer(r.server), httptest.NewServer(r.server)
	t.Cleanup(r.web.Close)
	t.Cleanup(r.plain.Close)
	return r
}

func newKeys(t testing.TB) *dispatch.Keys {
	t.Helper()
	k, err := dispatch.NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newSigner(t testing.TB) *dispatch.Signer {
	t.Helper()
	s, err := dispatch.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (r *rig) builder(public string) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, k := range r.keys {
		if k.Public() == public {
			return name, true
		}
	}
	return "", false
}

func (r *rig) curve(name string) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, ok := r.keys[name]
	if !ok {
		return "", false
	}
	return k.Curve(), true
}

func (r *rig) revoke(name string) {
	r.mu.Lock()
	delete(r.keys, name)
	r.mu.Unlock()
	r.server.Disconnect(name)
}

func (r *rig) authority() dispatch.Authority {
	return dispatch.Authority{Signer: r.signer, Curve: r.curve}
}

// ways are how a builder can reach the rig.
var ways = []string{"in process", "ws", "wss"}

func (r *rig) way(name string) (string, dispatch.DialOptions) {
	switch name {
	case "ws":
		return strings.Replace(r.plain.URL, "http", "ws", 1) + "/nats", dispatch.DialOptions{}
	case "wss":
		roots := x509.NewCertPool()
		roots.AddCert(r.web.Certificate())
		return strings.Replace(r.web.URL, "https", "wss", 1) + "/nats", dispatch.DialOptions{Roots: roots}
	}
	return "", dispatch.DialOptions{InProcess: r.server}
}

func (r *rig) dial(t testing.TB, way, name string, keys *dispatch.Keys) *nats.Conn {
	t.Helper()
	url, o := r.way(way)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := dispatch.Dial(ctx, url, name, keys, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func (r *rig) listen(t testing.TB, ear dispatch.Ear) *dispatch.Hub {
	t.Helper()
	hub, err := dispatch.Listen(r.architect(t), ear, r.authority())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hub.Close)
	return hub
}

func (r *rig) architect(t testing.TB) *nats.Conn {
	t.Helper()
	conn, err := r.server.Architect()
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func (r *rig) join(t testing.TB, conn *nats.Conn, name string, worker dispatch.Worker) *dispatch.Link {
	t.Helper()
	link, err := dispatch.Join(conn, name, worker, dispatch.Trust{Architect: r.signer.Public(), Keys: r.keys[name]})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(link.Close)
	return link
}

// over is a wire between one builder and the architect.
func over(way string) func(*testing.T, dispatch.Ear, dispatch.Worker) (up, down) {
	return func(t *testing.T, ear dispatch.Ear, worker dispatch.Worker) (up, down) {
		r := newRig(t, "b-1")
		hub := r.listen(t, ear)
		return r.join(t, r.dial(t, way, "b-1", r.keys["b-1"]), "b-1", worker), hub
	}
}
