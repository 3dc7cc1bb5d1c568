package dispatch

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// A tunnel dials websocket servers, through a proxy where one is set.
type tunnel struct {
	proxy     func(*http.Request) (*url.URL, error)
	encrypted bool
}

// A proxyError is a proxy's refusal or a setting that cannot work.
type proxyError struct{ reason string }

func (e *proxyError) Error() string { return e.reason }

// Dial connects to address, a name or an IP address with a port.
func (t *tunnel) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dialWithin)
	defer cancel()
	dialer := &net.Dialer{}
	proxy, err := t.proxyFor(address)
	if err != nil {
		return nil, err
	}
	if proxy == nil {
		return dialer.DialContext(ctx, network, address)
	}
	var conn net.Conn
	switch proxy.Scheme {
	case "http":
		conn, err = dialer.DialContext(ctx, network, hostPort(proxy, "80"))
	case "https":
		secure := &tls.Dialer{NetDialer: dialer, Config: &tls.Config{MinVersion: tls.VersionTLS12}}
		conn, err = secure.DialContext(ctx, network, hostPort(proxy, "443"))
	default:
		return nil, &proxyError{fmt.Sprintf("the proxy %s://%s is of a kind that is not supported: want http:// or https://", proxy.Scheme, proxy.Host)}
	}
	if err != nil {
		return nil, fmt.Errorf("connect to the proxy %s: %w", proxy.Host, err)
	}
	if err := through(ctx, conn, proxy, address); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func (t *tunnel) proxyFor(address string) (*url.URL, error) {
	if t.proxy == nil || !t.encrypted {
		return nil, nil // a proxy would read a plain connection
	}
	proxy, err := t.proxy(&http.Request{URL: &url.URL{Scheme: "https", Host: address}})
	if err != nil {
		return nil, &proxyError{fmt.Sprintf("find the proxy for %s: %v", address, err)}
	}
	return proxy, nil
}

// through asks a proxy for a way to address.
func through(ctx context.Context, conn net.Conn, proxy *url.URL, address string) error {
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return fmt.Errorf("ask the proxy %s: %w", proxy.Host, err)
	}
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}
	if user := proxy.User; user != nil {
		password, _ := user.Password()
		req.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	if err := req.Write(conn); err != nil {
		return fmt.Errorf("ask the proxy %s: %w", proxy.Host, err)
	}
	// The server behind it speaks only when it is spoken to: one byte at a time
	// takes the proxy's answer and nothing after it.
	res, err := http.ReadResponse(bufio.NewReaderSize(io.LimitReader(&single{conn}, maxProxyAnswer), 16), req)
	if err != nil {
		return fmt.Errorf("ask the proxy %s: %w", proxy.Host, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return &proxyError{fmt.Sprintf("the proxy %s refuses the way to %s: %s", proxy.Host, address, res.Status)}
	}
	return conn.SetDeadline(time.Time{})
}

// maxProxyAnswer bounds the head of a proxy's answer, in bytes.
const maxProxyAnswer = 16 << 10

// single reads one byte at a time.
type single struct{ r io.Reader }

func (s *single) Read(p []byte) (int, error) { return s.r.Read(p[:min(1, len(p))]) }

func hostPort(u *url.URL, port string) string {
	if u.Port() != "" {
		port = u.Port()
	}
	return net.JoinHostPort(u.Hostname(), port)
}
