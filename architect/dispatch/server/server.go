// Package server runs a NATS server inside the architect's process. It keeps
// nothing, and by default listens nowhere: the embedded builder is connected
// within the process. Only app imports it, so that nothing else pays for it.
package server

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// startWithin bounds the wait for the server to accept connections.
const startWithin = 10 * time.Second

// A Server is an embedded NATS server without a network listener.
type Server struct {
	nats *server.Server

	mu    sync.Mutex
	conns []*nats.Conn
}

// Start runs a server until Stop.
func Start() (*Server, error) {
	s, err := server.NewServer(&server.Options{
		ServerName: "velocity",
		DontListen: true,
		NoSigs:     true,
		NoLog:      true,
		MaxPayload: 8 << 20,
	})
	if err != nil {
		return nil, fmt.Errorf("start NATS: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(startWithin) {
		s.Shutdown()
		return nil, errors.New("start NATS: not ready in time")
	}
	return &Server{nats: s}, nil
}

// Connect makes a connection within the process, which Stop closes. Its name is
// for logs.
func (s *Server) Connect(name string) (*nats.Conn, error) {
	conn, err := nats.Connect("", nats.InProcessServer(s.nats), nats.Name(name), nats.MaxReconnects(-1))
	if err != nil {
		return nil, fmt.Errorf("connect %s to NATS: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = append(s.conns, conn)
	return conn, nil
}

// Stop ends the server and every connection to it, and returns when it is gone.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.conns {
		conn.Close()
	}
	s.nats.Shutdown()
	s.nats.WaitForShutdown()
}
