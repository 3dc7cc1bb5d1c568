package docker

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/docker/docker/client"
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

// attach opens the container's output.
func (b *box) attach(ctx context.Context) (*stream, error) {
	return hijack(ctx, b.api, "/containers/"+b.name+"/attach"+attachQuery, "")
}

// hijack posts body, JSON or nothing, to a path of the engine's interface and
// makes a stream of the connection. The client's own calls of this kind do not
// watch their context once they have dialled, so that an engine that hangs at
// that moment would hold the builder's slot for ever.
func hijack(ctx context.Context, api *client.Client, path, body string) (*stream, error) {
	conn, err := api.Dialer()(ctx)
	if err != nil {
		return nil, err
	}
	giveUp := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(0, 1)) })
	s := &stream{Conn: conn, buffered: bufio.NewReader(conn)}
	err = s.upgrade(ctx, "/v"+api.ClientVersion()+path, body)
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
func (s *stream) upgrade(ctx context.Context, path, body string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://docker"+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
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
