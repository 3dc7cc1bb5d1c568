package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/api"
)

// How long parts of a conversation with a server may take. Streams may be silent
// as long as they like.
const (
	connectWithin = 15 * time.Second
	answerWithin  = time.Minute
)

// Remote speaks to the server at an address that ParseServer accepted, whose
// certificate roots signed (nil: who this machine trusts), with an API token (""
// for none) about one of its repositories ("" if the server can tell
// which). A redirect is an error: a token is for the server it was given to.
func Remote(server *url.URL, roots *x509.CertPool, token, repository string) *Client {
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: connectWithin}).DialContext,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   connectWithin,
		ResponseHeaderTimeout: answerWithin,
		ExpectContinueTimeout: answerWithin,
		ForceAttemptHTTP2:     true,
	}
	return &Client{
		http: &http.Client{Transport: transport, CheckRedirect: func(next *http.Request, _ []*http.Request) error {
			return fmt.Errorf("the server sends to %s: use that address if you trust it", next.URL.Redacted())
		}},
		base: strings.TrimSuffix(server.String(), "/"), token: token, repository: repository,
	}
}

// Within speaks to a handler in this process.
func Within(h http.Handler) *Client {
	return &Client{http: &http.Client{Transport: within{h}}, base: "http://velocity.local"}
}

// within answers requests by a handler, whose answers are short.
type within struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (w within) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	a := &answer{status: http.StatusOK, header: http.Header{}}
	w.handler.ServeHTTP(a, r)
	return &http.Response{
		Status: http.StatusText(a.status), StatusCode: a.status, Header: a.header,
		Body: io.NopCloser(&a.body), Request: r,
	}, nil
}

// An answer is what a handler wrote.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) { a.status = status }

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }

// ParseServer reads a server's address. Plain HTTP is for this machine only: a
// token would be read by everybody on the way.
func ParseServer(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Opaque != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%.200q is no address of a server: https://HOST is one", text)
	}
	switch {
	case u.User != nil:
		return nil, errors.New("a server's address holds no user or password: velocity login asks for a token")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("%s://: servers speak https", u.Scheme)
	case u.Scheme == "http" && !Loopback(u.Hostname()):
		return nil, fmt.Errorf("%s: plain http is for this machine only, since everybody on the way could read the token; use https", text)
	}
	u.Host = strings.ToLower(u.Host)
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}

// Loopback reports whether a host is this machine by any resolver's account.
func Loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

// Builds lists builds in their stored form, the newest first.
func (c *Client) Builds(ctx context.Context, q api.Query) ([]json.RawMessage, error) {
	v := q.Values()
	if c.repository != "" {
		v.Set(api.ParamRepository, c.repository)
	}
	var builds []json.RawMessage
	err := c.get(ctx, api.PathBuilds+"?"+v.Encode(), &builds)
	return builds, err
}

// Build is the build that a person means by an id, a number or a commit, in its
// stored form.
func (c *Client) Build(ctx context.Context, which string) (json.RawMessage, error) {
	var build json.RawMessage
	err := c.get(ctx, c.about(api.PathBuild+url.PathEscape(which), ""), &build)
	return build, err
}

// ErrNoLog means that an attempt left no log on the server.
var ErrNoLog = errors.New("no such log")

// logPath is where the log of an attempt is, or what is below it.
func (c *Client) logPath(build, task, below string, attempt int) string {
	v := url.Values{api.ParamAttempt: {strconv.Itoa(attempt)}}
	if c.repository != "" {
		v.Set(api.ParamRepository, c.repository)
	}
	return api.PathBuild + url.PathEscape(build) + "/logs/" + url.PathEscape(task) + below + "?" + v.Encode()
}

// LogTimes is when the log of an attempt came, by offsets that only grow. It fails
// if nobody knows.
func (c *Client) LogTimes(ctx context.Context, build, task string, attempt int) ([]api.Mark, error) {
	var marks []api.Mark
	err := c.get(ctx, c.logPath(build, task, "/times", attempt), &marks)
	return marks, err
}

// Log is what an attempt printed.
func (c *Client) Log(ctx context.Context, build, task string, attempt int) ([]byte, error) {
	resp, err := c.ask(ctx, http.MethodGet, c.logPath(build, task, "", attempt), nil)
	var refused *StatusError
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		return nil, fmt.Errorf("%w: %w", ErrNoLog, err)
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, largestAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	return text, nil
}

// Why tells what each task of a build that is not over waits for; task, if it is
// not "", names the only one by key or name.
func (c *Client) Why(ctx context.Context, build, task string) ([]api.Reason, error) {
	path := api.PathBuild + url.PathEscape(build) + "/why"
	if task != "" {
		path += "/" + url.PathEscape(task)
	}
	var reasons []api.Reason
	err := c.get(ctx, c.about(path, ""), &reasons)
	return reasons, err
}

// Self is whose token this client has, as the server sees it.
func (c *Client) Self(ctx context.Context) (api.Token, error) {
	var t api.Token
	err := c.get(ctx, api.PathSelf, &t)
	return t, err
}
