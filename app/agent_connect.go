package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/builder"
)

// connect joins the builder to its architect and returns what ends that. It waits
// for an architect that does not answer until ctx ends; a connection that breaks
// later is made again for ever.
func (a *agent) connect(ctx context.Context, b *builder.Builder) (leave func(), err error) {
	address, err := a.credential.natsURL()
	if err != nil {
		return nil, err
	}
	trusted := a.credential.Authority
	if a.credential.onCluster() {
		trusted = a.credential.ClusterAuthority
	}
	roots, err := authorities(trusted)
	if err != nil {
		return nil, usage("the authority's certificate in the registration: %w", err).hint("register again with --force")
	}
	conn, err := dispatch.Dial(ctx, address, a.credential.Name, a.keys, dispatch.DialOptions{
		Roots: roots, Proxy: http.ProxyFromEnvironment, Log: a.log,
	})
	if errors.Is(err, dispatch.ErrNotAuthorized) && a.credential.onCluster() {
		f := &failure{status: statusProblem, err: err}
		return nil, f.hint("a builder that is new on a NATS cluster is let in once its nodes have reloaded what velocity builder nats-config prints")
	}
	if err != nil {
		return nil, err
	}
	work := &gate{ready: make(chan struct{}), worker: b}
	link, err := dispatch.Join(conn, a.credential.Name, work, dispatch.Trust{
		Architect: a.credential.Architect, Keys: a.keys, Log: a.log, Now: a.c.clock,
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	b.Architect = link
	close(work.ready)
	a.log.Debug("connected", slog.String("url", address))
	return func() { link.Close(); conn.Close() }, nil
}

// A gate holds up what the architect says until the builder can answer: one that
// has just joined may be spoken to before it has its end of the wire.
type gate struct {
	ready  chan struct{}
	worker dispatch.Worker
}

// Take implements dispatch.Worker.
func (g *gate) Take(a dispatch.Assignment) error { <-g.ready; return g.worker.Take(a) }

// Stop implements dispatch.Worker.
func (g *gate) Stop(a dispatch.Attempt, reason string) error {
	<-g.ready
	return g.worker.Stop(a, reason)
}
