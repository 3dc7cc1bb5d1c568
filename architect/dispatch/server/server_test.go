package server

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func start(t testing.TB, o Options) (*Server, string) {
	t.Helper()
	if o.Builder == nil {
		o.Builder = func(string) (string, bool) { return "", false }
	}
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return s, strings.Replace(web.URL, "http", "ws", 1)
}

// dialWS is a stranger that speaks websocket.
func dialWS(t testing.TB, url string) io.ReadWriteCloser {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	ws, _, err := websocket.Dial(ctx, url, nil) //nolint:bodyclose // the connection is the body
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.CloseNow() })
	return websocket.NetConn(ctx, ws, websocket.MessageBinary)
}

// Who does not prove who it is, silent or talking, is closed and told nothing but
// the server's greeting and refusal.
func TestUnprovedConnectionsEnd(t *testing.T) {
	s, url := start(t, Options{AuthTimeout: 200 * time.Millisecond})
	for _, says := range []string{
		"", "PING\r\n", "CONNECT {}\r\n", "CONNECT {\"nkey\":\"U\",\"sig\":\"x\"}\r\nSUB > 1\r\n", "SUB > 1\r\n",
		"PUB x 1\r\nx\r\n", "CONNECT {\"user\":\"ARCHITECT\",\"pass\":\"\"}\r\n", strings.Repeat("x", maxControlLine+10), "GET / HTTP/1.1\r\n\r\n",
	} {
		conn := dialWS(t, url)
		_, _ = io.WriteString(conn, says)                     // fails if its time was over before, on a slow machine
		heard, err := io.ReadAll(io.LimitReader(conn, 1<<20)) // returns, or the connection's 20 s are over
		for i, line := range bytes.Split(bytes.TrimSuffix(heard, []byte("\r\n")), []byte("\r\n")) {
			if greeted := bytes.HasPrefix(line, []byte("INFO ")); greeted != (i == 0) || !greeted && !bytes.HasPrefix(line, []byte("-ERR ")) {
				t.Errorf("who said %.20q heard %q", says, line)
			}
		}
		if err != nil && strings.Contains(err.Error(), "deadline") {
			t.Errorf("who said %.20q stays connected", says)
		}
	}
	for tries := 0; s.nats.NumClients() != 0; tries++ {
		if tries == 100 {
			t.Fatalf("%d connections stay", s.nats.NumClients())
		}
		<-time.After(50 * time.Millisecond)
	}
}

func TestBrowsersOfOtherSitesAreRefused(t *testing.T) {
	s, _ := start(t, Options{})
	for _, c := range []struct {
		origin string
		want   int
	}{{"https://evil.example", http.StatusForbidden}, {"", http.StatusUpgradeRequired}} {
		req := httptest.NewRequest(http.MethodGet, "/nats", nil)
		if c.origin != "" {
			req.Header = http.Header{"Origin": {c.origin}, "Upgrade": {"websocket"}, "Connection": {"Upgrade"},
				"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}}
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, req)
		if w.Code != c.want {
			t.Errorf("origin %q: %d, want %d: %s", c.origin, w.Code, c.want, w.Body)
		}
	}
}

// Whatever a stranger sends over the websocket ends its own connection at most.
func FuzzBridge(f *testing.F) {
	s, url := start(f, Options{AuthTimeout: 20 * time.Millisecond})
	for _, seed := range []string{"", "CONNECT {}\r\nPING\r\n", "HPUB a 1 2\r\n", "INFO {}\r\n", "A+ x\r\n", "RS+ x\r\n", "\x16\x03\x01", "-ERR 'x'\r\n", "PROXY TCP4 1 2 3 4\r\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		conn := dialWS(t, url)
		_, _ = conn.Write(data)
		heard, _ := io.ReadAll(conn)
		if bytes.Contains(heard, []byte("PONG\r\n")) {
			t.Errorf("who said %q heard %q", data, heard)
		}
		if !s.nats.Running() {
			t.Fatal("the server is gone")
		}
	})
}
