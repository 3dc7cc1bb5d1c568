package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/architect/dispatch/server"
	"github.com/velocity-ci/velocity/storage/roster"
)

// A cluster is the architect's place on somebody else's NATS.
type cluster struct {
	conn interface {
		IsConnected() bool
		Close()
	}
	hold *dispatch.Hold // nobody else's as long as this process lives
	hub  *dispatch.Hub  // nil before the architect listens
}

func (c *cluster) close() {
	if c.hub != nil {
		c.hub.Close()
	}
	c.hold.Release()
	c.conn.Close()
}

// connect makes the wires to builders. Those on other machines are met in a NATS
// server of this process, or on the cluster that is configured; the embedded one
// always within the process.
func (s *service) connect(ctx context.Context, o serviceOptions) (err error) {
	authority := dispatch.Authority{Signer: s.signer, Curve: s.curveOf, Now: s.c.clock}
	meets := o.configured != nil && o.configured.NATS.URL != ""
	if !meets || o.builder {
		if s.nats, err = server.Start(server.Options{Builder: s.builderOf, Log: o.log}); err != nil {
			return err
		}
		conn, err := s.nats.Architect()
		if err != nil {
			return err
		}
		if s.hub, err = dispatch.Listen(conn, s.architect, authority); err != nil {
			return err
		}
		s.architect.Wire = s.hub
	}
	if !meets {
		return nil
	}
	if err := s.join(ctx, o.configured, authority); err != nil {
		return err
	}
	s.architect.Wire = switchboard{Hub: s.cluster.hub, within: s.hub, embedded: s.isEmbedded}
	return nil
}

// A switchboard is the wire to all builders where the embedded one has its own.
type switchboard struct {
	*dispatch.Hub
	within   *dispatch.Hub
	embedded func(builder string) bool
}

// Assign implements architect.Wire.
func (w switchboard) Assign(ctx context.Context, builder string, a dispatch.Assignment) error {
	return w.to(builder).Assign(ctx, builder, a)
}

// Cancel implements architect.Wire.
func (w switchboard) Cancel(ctx context.Context, builder string, a dispatch.Attempt, reason string) error {
	return w.to(builder).Cancel(ctx, builder, a, reason)
}

// Publish implements architect.Wire.
func (w switchboard) Publish(e build.Event) error { return w.Hub.Publish(e) }

func (w switchboard) to(builder string) *dispatch.Hub {
	if w.embedded(builder) {
		return w.within
	}
	return w.Hub
}

// isEmbedded reports whether a builder is the one of this process.
func (s *service) isEmbedded(builder string) bool {
	name := s.embedded.Load()
	return name != nil && builder == *name
}

const (
	// clusterWithin is how long a server waits for its cluster when it starts. What
	// starts both after a power cut gets that long to bring up the nodes; one whose
	// addresses are wrong says so before its operator has gone away.
	clusterWithin = 30 * time.Second

	// clusterPayload is what the cluster's nodes have to let through, in bytes, for
	// the longest assignments.
	clusterPayload = 8 << 20
)

// join takes the architect's place on the cluster that is configured.
func (s *service) join(ctx context.Context, conf *serverConfig, authority dispatch.Authority) error {
	credentials, o, err := s.c.clusterAccess(ctx, conf)
	if err != nil {
		return err
	}
	o.Log = s.log
	within, cancel := context.WithTimeoutCause(ctx, clusterWithin, fmt.Errorf("no node of the cluster answered within %s", clusterWithin))
	defer cancel()
	conn, err := dispatch.DialArchitect(within, conf.NATS.URL, credentials, o)
	if err != nil {
		return clusterFailure(err)
	}
	hold, err := dispatch.HoldAccount(ctx, conn, selfName())
	if err != nil {
		conn.Close()
		return clusterFailure(err)
	}
	s.cluster = &cluster{conn: conn, hold: hold}
	if conn.MaxPayload() < clusterPayload {
		s.log.Warn("the cluster's nodes do not let the longest assignments through: max_payload: 8MB in their configuration does", "bytes", conn.MaxPayload())
	}
	// Builders speak as soon as somebody listens, and are to be known by then.
	repo, err := s.c.openState(ctx, conf.State)
	if err != nil {
		return err
	}
	if err := s.enlist(ctx, roster.Open(repo, s.c.clock)); err != nil {
		return err
	}
	if s.cluster.hub, err = dispatch.Listen(conn, s.architect, authority); err != nil {
		return err
	}
	s.architect.Deaf = func() bool { return !conn.IsConnected() }
	s.log.Info("builders are met on a NATS cluster", "node", conn.ConnectedUrlRedacted())
	return nil
}

// clusterFailure says what can be done about a cluster that does not have us.
func clusterFailure(err error) error {
	f := &failure{status: statusProblem, err: err}
	if errors.Is(err, dispatch.ErrNotAuthorized) {
		return f.hint("its nodes know the architect once they have loaded what velocity builder nats-config prints")
	}
	return f
}

// selfName is what a second architect is told about this one.
func selfName() string {
	machine, err := os.Hostname()
	if err != nil {
		machine = "a machine without a name"
	}
	return fmt.Sprintf("%s on %s (pid %d)", holderServe, machine, os.Getpid())
}

// clusterAccess is who the architect is to the cluster, and by what it knows it.
func (c *cli) clusterAccess(ctx context.Context, conf *serverConfig) (credentials dispatch.Credentials, o dispatch.DialOptions, err error) {
	text, err := readAuthorities(conf.NATS.CA)
	if err != nil {
		return credentials, o, err
	}
	if o.Roots, err = authorities(text); err != nil {
		return credentials, o, err
	}
	if conf.NATS.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(conf.NATS.Certificate, conf.NATS.Key)
		if err != nil {
			return credentials, o, usage("nats.certificate: %w", err)
		}
		o.Certificates = []tls.Certificate{pair}
	}
	if conf.NATS.Credentials != "" {
		if _, err := os.Stat(conf.NATS.Credentials); err != nil {
			return credentials, o, usage("nats.credentials: %w", err)
		}
		return dispatch.Credentials{File: conf.NATS.Credentials}, o, nil
	}
	credentials.Keys, err = c.clusterKeys(ctx, conf)
	return credentials, o, err
}

// clusterKey is the file with the seed of the architect's user key in its state.
const clusterKey = "nats.nk"

// clusterKeys are those by which a cluster knows the architect: of the file that
// is configured, or of one in the state, which is made if it is not there.
func (c *cli) clusterKeys(ctx context.Context, conf *serverConfig) (*dispatch.Keys, error) {
	path := conf.NATS.NKey
	if path == "" {
		made, err := c.stateSeed(ctx, conf, clusterKey, func() (string, error) {
			keys, err := dispatch.NewKeys()
			if err != nil {
				return "", err
			}
			seed, _ := keys.Seeds()
			return seed, nil
		})
		if err != nil {
			return nil, err
		}
		return dispatch.UserKeys(made)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, usage("nats.nkey: %w", err)
	}
	keys, err := dispatch.UserKeys(string(text))
	if err != nil {
		return nil, usage("nats.nkey: %s: %w", path, err)
	}
	return keys, nil
}
