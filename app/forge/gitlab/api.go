package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	lab "github.com/xanzy/go-gitlab"
)

// Limits of one request.
const (
	timeout   = 30 * time.Second
	maxAnswer = 64 << 20 // bytes; a page of deliveries of a few MB each
)

// An api sends requests to GitLab. This file alone knows the library that does it:
// go-gitlab is no longer worked on, and its successor takes the same calls.
type api interface {
	// ask sends one request, once. The body goes as JSON, unless it is nil; the
	// answer is decoded into a pointer, unless that is nil. It returns the number of
	// the next page, 0 if there is none. The error is a *failure if GitLab answered.
	ask(ctx context.Context, method, path string, query url.Values, body, into any) (next int, err error)
}

type client struct {
	lab *lab.Client //nolint:staticcheck // it says itself that it has a successor
}

func newClient(o Options, base *url.URL) (*client, error) {
	return clientOf(lab.NewClient, o, base) //nolint:staticcheck // as above
}

// newPersonClient asks with a token of somebody, whichever kind that is: those that
// OAuth gave are taken in another header than ours, which takes all kinds.
func newPersonClient(o Options, base *url.URL) (*client, error) {
	return clientOf(lab.NewOAuthClient, o, base) //nolint:staticcheck // as above
}

func clientOf(open func(string, ...lab.ClientOptionFunc) (*lab.Client, error), o Options, base *url.URL) (*client, error) { //nolint:staticcheck // as above
	c, err := open(o.Token.reveal(),
		lab.WithBaseURL(base.String()),
		lab.WithoutRetries(), // it would send again what may have been done
		lab.WithCustomLimiter(unlimited{}),
		lab.WithHTTPClient(&http.Client{Transport: bounded{o.Transport}, Timeout: timeout, CheckRedirect: stay}),
	)
	if err != nil {
		return nil, fmt.Errorf("gitlab: %w", err)
	}
	if o.UserAgent != "" {
		c.UserAgent = o.UserAgent
	}
	return &client{lab: c}, nil
}

func (c *client) ask(ctx context.Context, method, path string, query url.Values, body, into any) (int, error) {
	req, err := c.lab.NewRequest(method, path, body, []lab.RequestOptionFunc{lab.WithContext(ctx)})
	if err != nil {
		return 0, fmt.Errorf("gitlab: %w", err)
	}
	req.URL.RawQuery = query.Encode()
	resp, err := c.lab.Do(req, into)
	if err == nil {
		return resp.NextPage, nil
	}
	var refused *lab.ErrorResponse
	if errors.As(err, &refused) || resp != nil && errors.Is(err, lab.ErrNotFound) {
		f := &failure{where: method + " " + path, status: resp.StatusCode, header: resp.Header}
		if refused != nil {
			f.message = said(refused.Body)
		}
		return 0, f
	}
	return 0, withoutQuery(err)
}

// withoutQuery shortens the address in an error of net/http: what was asked for is
// of no use to who reads it.
func withoutQuery(err error) error {
	var at *url.Error
	if !errors.As(err, &at) {
		return fmt.Errorf("gitlab: %w", err)
	}
	if u, odd := url.Parse(at.URL); odd == nil {
		u.RawQuery = ""
		at.URL = u.Redacted()
	}
	return fmt.Errorf("gitlab: %w", at)
}

// unlimited lets all requests pass: the library's own limiter has them wait, and our
// gate says until when.
type unlimited struct{}

func (unlimited) Wait(context.Context) error { return nil }

// stay follows no redirect. Go would send the token's header along, to whichever
// host is named.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// bounded limits how much of an answer is read.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(req)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	}
	return resp, err
}
