package docker

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// attachQuery asks for both output streams from now on; there is no input.
const attachQuery = "?stream=1&stdout=1&stderr=1"

// A stream is a container's output as the engine sends it, both streams in
// frames. Closing it ends reading at once.
type stream struct {
	net.Conn
	buffered *bufio.Reader
}

func (s *stream) Read(p []byte) (int, error) { return s.buffered.Read(p) }

// attach opens the container's output. The client's own ContainerAttach does not
// watch its context once it has dialled, so that an engine that hangs at that
// moment would hold the builder's slot for ever.
func (b *box) attach(ctx context.Context) (*stream, error) {
	conn, err := b.api.Dialer()(ctx)
	if err != nil {
		return nil, err
	}
	giveUp := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(0, 1)) })
	s := &stream{Conn: conn, buffered: bufio.NewReader(conn)}
	err = s.upgrade(ctx, "/v"+b.api.ClientVersion()+"/containers/"+b.name+"/attach"+attachQuery)
	if !giveUp() && err == nil {
		err = context.Cause(ctx) // its deadline is spoilt
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

// upgrade turns the connection from HTTP into the raw stream.
func (s *stream) upgrade(ctx context.Context, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://docker"+path, http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("Connection", "Upgrade")
	request.Header.Set("Upgrade", "tcp")
	if err := request.Write(s.Conn); err != nil {
		return err
	}
	response, err := http.ReadResponse(s.buffered, request)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		response.Body.Close()
		return fmt.Errorf("engine answered %s", response.Status)
	}
	return nil
}
