package hooks

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// half sends the head of a signed request and less of its body than it promises.
func half(t *testing.T, server *httptest.Server) *net.TCPConn {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: velocity\r\nContent-Type: application/json\r\n"+
		"X-Hub-Signature-256: %s\r\nContent-Length: 10\r\n\r\n{", hubSign(testSecret, []byte("{")))
	if err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

func status(t *testing.T, conn net.Conn) int {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestReceiverEndsSlowBodies(t *testing.T) {
	inbox := &memory{}
	receiver := testReceiver(inbox)
	receiver.Limits = Limits{Time: time.Millisecond} // it never comes, however long it takes
	server := httptest.NewServer(gitHub(t, receiver))
	defer server.Close()
	if got := status(t, half(t, server)); got != http.StatusRequestTimeout {
		t.Errorf("a body that stops coming is answered %d; want 408", got)
	}
	if len(inbox.all()) > 0 {
		t.Error("half a delivery was kept")
	}
}

func TestReceiverRefusesCutBodies(t *testing.T) {
	inbox := &memory{}
	receiver := testReceiver(inbox)
	receiver.Limits = Limits{Time: time.Hour}
	server := httptest.NewServer(gitHub(t, receiver))
	defer server.Close()
	conn := half(t, server)
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got := status(t, conn); got != http.StatusBadRequest {
		t.Errorf("a body that is cut off is answered %d; want 400", got)
	}
	if len(inbox.all()) > 0 {
		t.Error("half a delivery was kept")
	}
}

// A late inbox takes until the request's time is over.
type late struct{}

func (late) Accept(ctx context.Context, _ Delivery) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestReceiverEndsSlowInboxes(t *testing.T) {
	receiver := testReceiver(late{})
	receiver.Limits = Limits{Time: 50 * time.Millisecond}
	server := httptest.NewServer(gitHub(t, receiver))
	defer server.Close()
	request := hubPost("push", "1", []byte(`{}`))
	request.URL.Scheme, request.URL.Host, request.RequestURI = "http", server.Listener.Addr().String(), ""
	resp, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusServiceUnavailable:
	case http.StatusRequestTimeout: // this machine could not even read in that time
	default:
		t.Errorf("an inbox that does not answer ends with %s; want 503", resp.Status)
	}
}
