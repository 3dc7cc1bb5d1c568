// Package server runs a NATS server inside the architect's process. It keeps
// nothing and listens nowhere: who is in the process connects within it, and
// builders on other machines come through ServeHTTP as websockets, so that the
// architect's one port is the only one. Only app imports it, so that nothing else
// pays for it.
//
// Everybody proves who they are, in the process as well: a builder by signing the
// server's nonce with the key it registered with, the architect by a password
// that is made at every start. What a connection may say and hear follows from
// that alone.
package server

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/velocity-ci/velocity/architect/dispatch"
)

// Options say who may connect.
type Options struct {
	// Builder finds the name of the builder with a public key. It is called for
	// each connection, under a lock that Disconnect takes, too: it must answer from
	// memory and not call the server. Only a ValidName is believed.
	Builder func(public string) (name string, ok bool)
	Log     *slog.Logger // told who comes and who is refused; nil: nobody is

	// AuthTimeout is how long a connection may take to prove who it is; 0: five
	// seconds.
	AuthTimeout time.Duration
}

const (
	startWithin        = 10 * time.Second
	defaultAuthTimeout = 5 * time.Second

	// maxPayload is for the largest message, an assignment with a long task.
	maxPayload = 8 << 20
	// maxPending is how many bytes may wait for one connection before it counts as
	// stuck and is closed.
	maxPending = 2 * maxPayload
	// maxSubscriptions of one connection: a builder needs three, the architect ten.
	maxSubscriptions = 32
	// maxConnections bounds what strangers can hold in their AuthTimeout.
	maxConnections = 16384
	maxControlLine = 4096
	writeWithin    = 10 * time.Second
	// pingEvery finds connections that broke in silence, within three of it.
	pingEvery = 20 * time.Second
)

// A Server is an embedded NATS server without a listener of its own.
type Server struct {
	nats     *server.Server
	options  Options
	log      *slog.Logger
	password string

	mu        sync.Mutex
	connected map[string]uint64 // the connection of each builder
	conns     []*nats.Conn
}

// Start runs a server until Stop.
func Start(o Options) (*Server, error) {
	if o.AuthTimeout == 0 {
		o.AuthTimeout = defaultAuthTimeout
	}
	s := &Server{options: o, log: o.Log, password: rand.Text(), connected: map[string]uint64{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	s.nats, err = server.NewServer(&server.Options{
		ServerName: "velocity", DontListen: true,
		NoSigs: true, NoLog: true, NoSystemAccount: true,
		CustomClientAuthentication: s, AlwaysEnableNonce: true,
		AuthTimeout: o.AuthTimeout.Seconds(),
		MaxPayload:  maxPayload, MaxPending: maxPending, MaxControlLine: maxControlLine,
		MaxSubs: maxSubscriptions, MaxConn: maxConnections,
		WriteDeadline: writeWithin, PingInterval: pingEvery, MaxPingsOut: 2,
		MaxClosedClients: 1, // it remembers them for a monitoring port that is not there
	})
	if err != nil {
		return nil, fmt.Errorf("start NATS: %w", err)
	}
	s.nats.Start()
	if !s.nats.ReadyForConnections(startWithin) {
		s.nats.Shutdown()
		return nil, errors.New("start NATS: not ready in time")
	}
	return s, nil
}

// Architect makes the architect's connection, which Stop closes.
func (s *Server) Architect() (*nats.Conn, error) {
	conn, err := nats.Connect("", append(dispatch.ArchitectOptions(),
		nats.InProcessServer(s), nats.MaxReconnects(-1), nats.UserInfo(architectUser, s.password))...)
	if err != nil {
		return nil, fmt.Errorf("connect the architect to NATS: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = append(s.conns, conn)
	return conn, nil
}

// InProcessConn makes a connection within the process, for dispatch.DialOptions.
// Who uses it must prove who it is, like everybody.
func (s *Server) InProcessConn() (net.Conn, error) { return s.nats.InProcessConn() }

// Disconnect closes the connection of a builder, if it has one. After its key is
// gone from Options.Builder nothing more is heard of it once Disconnect returns.
func (s *Server) Disconnect(name string) {
	s.mu.Lock()
	id, ok := s.connected[name]
	delete(s.connected, name)
	s.mu.Unlock()
	if ok {
		_ = s.nats.DisconnectClientByID(id) // fails only if it is gone
	}
}

// Running reports whether connections are served.
func (s *Server) Running() bool { return s.nats.Running() }

// Stop ends the server and every connection to it, and returns when it is gone.
func (s *Server) Stop() {
	s.mu.Lock()
	conns := s.conns
	s.mu.Unlock()
	for _, conn := range conns {
		conn.Close()
	}
	s.nats.Shutdown()
	s.nats.WaitForShutdown()
}
