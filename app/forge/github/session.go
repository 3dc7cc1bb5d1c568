package github

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/google/go-github/v62/github"
)

// Limits of one request.
const (
	timeout      = 30 * time.Second // with everything that it takes, a new token included
	maxAnswer    = 64 << 20         // bytes; a delivery of 25 MB comes as escaped text
	maxRedirects = 3
)

// A session asks GitHub with one credential, behind one gate.
type session struct {
	http  *http.Client
	base  *url.URL
	agent string
	gate  *gate
}

// ask sends one request and decodes the answer into a pointer, or drops it if that
// is nil. The error is one of package forge's kinds where it is one.
func (s *session) ask(ctx context.Context, method, path string, body, into any) (*github.Response, error) {
	if err := s.gate.open(); err != nil {
		return nil, err
	}
	// A client remembers limits, by another clock than ours: there is a new one each
	// time, so that the gate is the only one.
	client := github.NewClient(s.http)
	client.BaseURL, client.UserAgent = s.base, s.agent
	req, err := client.NewRequest(method, path, body)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(ctx, req, into)
	return resp, s.gate.judge(err)
}

// get is ask for reads.
func (s *session) get(ctx context.Context, path string, into any) (*github.Response, error) {
	return s.ask(ctx, http.MethodGet, path, nil, into)
}

func httpClient(tr http.RoundTripper) *http.Client {
	return &http.Client{Transport: tr, Timeout: timeout, CheckRedirect: follow}
}

// follow lets reads go on at the same host: the credential is for that host, and a
// write that was redirected would be sent to something that nobody looked up.
func follow(next *http.Request, via []*http.Request) error {
	from := via[0]
	if from.Method != http.MethodGet || len(via) > maxRedirects ||
		next.URL.Host != from.URL.Host || next.URL.Scheme != from.URL.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

// bounded limits how much of an answer is read.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(req)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	}
	return resp, err
}
