package dispatch_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/dispatch"
)

func TestDialRefuses(t *testing.T) {
	r := newRig(t, "b-1")
	wss, _ := r.way("wss")
	for _, c := range []struct{ url, want string }{
		{"", "not a URL"}, {"ci.example.org", "not a URL"}, {"-x", "not a URL"},
		{"https://ci.example.org/nats", "want wss://"}, {"file:///etc/passwd", "not a URL"},
		{"ws://ci.example.org/nats", "not encrypted"}, {"nats://10.0.0.1:4222", "not encrypted"},
		{"ws://127.0.0.1.example.org/", "not encrypted"}, {"ws://localhost.example.org/", "not encrypted"},
		{"wss://u:hunter2@ci.example.org/nats", "credentials do not belong"},
		{"tls://a:1,nats://127.0.0.1:2", "same scheme"},
		{wss, "signed by nobody this machine trusts"},
	} {
		_, err := dispatch.Dial(t.Context(), c.url, "b-1", r.keys["b-1"], dispatch.DialOptions{})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Dial(%q) = %v; want %q", c.url, err, c.want)
		}
	}
}

// Older TLS is refused even by who would take the certificate.
func TestDialWantsNewTLS(t *testing.T) {
	r := newRig(t, "b-1")
	old := httptest.NewUnstartedServer(r.server)
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS12}
	old.StartTLS()
	defer old.Close()
	_, o := r.way("wss")
	o.Roots.AddCert(old.Certificate())
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := dispatch.Dial(ctx, strings.Replace(old.URL, "https", "wss", 1), "b-1", r.keys["b-1"], o)
	if err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("Dial of TLS 1.2 = %v; want it refused", err)
	}
}

// A builder that comes before its architect waits for it.
func TestDialWaits(t *testing.T) {
	r := newRig(t, "b-1")
	tries := make(chan struct{}, 100)
	late := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		tries <- struct{}{}
		if len(tries) < 3 {
			http.Error(w, "starting", http.StatusServiceUnavailable)
			return
		}
		r.server.ServeHTTP(w, req)
	}))
	defer late.Close()
	conn, err := dispatch.Dial(t.Context(), strings.Replace(late.URL, "http", "ws", 1), "b-1", r.keys["b-1"], dispatch.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestDialThroughProxy(t *testing.T) {
	r := newRig(t, "b-1")
	var asked string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		user, password, _ := parseProxyAuth(req)
		if asked = req.Method + " " + req.Host; user != "u" || password != "p" {
			http.Error(w, "who are you", http.StatusProxyAuthRequired)
			return
		}
		far, err := net.Dial("tcp", req.Host)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		near, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() { _, _ = io.Copy(far, near); far.Close() }()
		_, _ = io.Copy(near, far)
		near.Close()
	}))
	defer proxy.Close()
	wss, o := r.way("wss")
	through := func(user *url.Userinfo, scheme string) error {
		u, _ := url.Parse(proxy.URL)
		u.User, u.Scheme = user, scheme
		o.Proxy = func(req *http.Request) (*url.URL, error) { return u, nil }
		conn, err := dispatch.Dial(t.Context(), wss, "b-1", r.keys["b-1"], o)
		if err == nil {
			conn.Close()
		}
		return err
	}
	if err := through(url.UserPassword("u", "p"), "http"); err != nil || !strings.HasPrefix(asked, "CONNECT 127.0.0.1:") {
		t.Errorf("through a proxy that was asked %q: %v", asked, err)
	}
	if err := through(nil, "http"); err == nil || !strings.Contains(err.Error(), "407") {
		t.Errorf("through a proxy that refuses: %v", err)
	}
	if err := through(nil, "socks5"); err == nil || !strings.Contains(err.Error(), "not supported") {
		t.Errorf("through a proxy of another kind: %v", err)
	}
}

func parseProxyAuth(req *http.Request) (user, password string, ok bool) {
	return (&http.Request{Header: http.Header{"Authorization": req.Header["Proxy-Authorization"]}}).BasicAuth()
}

// A connection survives its server's restart, under the same name.
func TestReconnects(t *testing.T) {
	r := newRig(t, "b-1")
	r.listen(t, &recorder{})
	conn := r.dial(t, "wss", "b-1", r.keys["b-1"])
	link := r.join(t, conn, "b-1", &recorder{})
	for range 3 {
		r.web.CloseClientConnections()
		r.server.Disconnect("b-1")
		eventually(t, func(ctx context.Context) error { return link.Here(ctx, dispatch.Presence{}) })
	}
	if conn.IsClosed() {
		t.Error("the connection gave up")
	}
	if err := link.Here(canceled(t), dispatch.Presence{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Here after the end = %v", err)
	}
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
