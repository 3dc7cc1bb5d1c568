package server

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// bridgeBuffer is held twice for every builder that is connected. It is small,
// for most of them are idle most of the time.
const bridgeBuffer = 4 << 10

// ServeHTTP joins a websocket to the NATS server, until either side ends. The
// first bytes a stranger sends go to NATS, which closes the connection unless
// they prove who it is within Options.AuthTimeout. Browsers of other sites are
// refused by their Origin.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The server's limits of time are for requests, and this is none.
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // what cannot be set is not limited
	_ = control.SetWriteDeadline(time.Time{})
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return // Accept has answered
	}
	defer func() { _ = ws.CloseNow() }() // the other side may be gone
	inner, err := s.nats.InProcessConn()
	if err != nil {
		_ = ws.Close(websocket.StatusTryAgainLater, "stopping")
		return
	}
	// Not the request's context: net/http gives up its own interest in a connection
	// that was taken over, and NATS finds out by itself when it breaks.
	outer := websocket.NetConn(context.WithoutCancel(r.Context()), ws, websocket.MessageBinary)
	done := make(chan struct{})
	go func() {
		defer close(done)
		move(inner, outer)
		inner.Close()
	}()
	// What NATS says last, why it closes, still gets out: inner's end is the end of
	// this, not the first failure to write to it.
	move(outer, inner)
	inner.Close()
	_ = ws.CloseNow() // NATS has its own farewell, and strangers get no time for another
	<-done
}

// move copies until either side ends.
func move(to, from net.Conn) {
	_, _ = io.CopyBuffer(only{to}, only{from}, make([]byte, bridgeBuffer)) // how it ended does not matter
}

// only hides all but reading and writing, so that the buffer is ours.
type only struct{ io.ReadWriter }
