// Package client speaks to a running architect over its API.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/socket"
)

// A Client speaks to one server.
type Client struct {
	http *http.Client
	base string

	token      string // "" for a local one
	repository string // that requests are about; "" if the server can tell
}

// ErrNoServer means that nobody listens.
var ErrNoServer = errors.New("no server is running for this repository")

// Local speaks to the server that listens on the socket in dir.
func Local(dir string) *Client {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := socket.Dial(ctx, dir)
		if err != nil {
			return nil, fmt.Errorf("%w (%w)", ErrNoServer, err)
		}
		return c, nil
	}}
	return &Client{http: &http.Client{Transport: transport}, base: "http://velocity.local"}
}

// Wake makes the server look into its inbox now.
func (c *Client) Wake(ctx context.Context) error {
	return c.post(ctx, api.PathWake, struct{}{}, nil)
}

// Start asks for a build by name and returns the trigger's id.
func (c *Client) Start(ctx context.Context, s api.Start) (string, error) {
	var a api.Accepted
	err := c.post(ctx, c.about(api.PathStart, ""), s, &a)
	return a.Trigger, err
}

// Rerun asks for a build to be built again and returns the trigger's id.
func (c *Client) Rerun(ctx context.Context, act api.Act) (string, error) {
	var a api.Accepted
	err := c.post(ctx, c.about(api.PathRerun, act.Build), act, &a)
	return a.Trigger, err
}

// Cancel asks for a build to end.
func (c *Client) Cancel(ctx context.Context, act api.Act) error {
	return c.post(ctx, c.about(api.PathCancel, act.Build), act, nil)
}

// Approve lets a build start that waits for approval. It returns the approval as
// the server took it.
func (c *Client) Approve(ctx context.Context, ask api.Approval) (api.Approval, error) {
	var taken api.Approval
	err := c.post(ctx, c.about(api.PathApprove, ask.Build), ask, &taken)
	return taken, err
}

// FollowTrigger calls see with what becomes of a trigger, until all its builds
// are in the archive. It returns nil after the end, an error if the stream broke
// before.
func (c *Client) FollowTrigger(ctx context.Context, id string, see func(api.Update) error) error {
	return c.follow(ctx, api.PathTrigger+url.PathEscape(id)+"/follow", see)
}

// FollowBuild is FollowTrigger for one build.
func (c *Client) FollowBuild(ctx context.Context, id string, see func(api.Update) error) error {
	return c.follow(ctx, api.PathBuild+url.PathEscape(id)+"/follow", see)
}

func (c *Client) follow(ctx context.Context, path string, see func(api.Update) error) error {
	resp, err := c.ask(ctx, http.MethodGet, c.about(path, ""), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for dec := json.NewDecoder(resp.Body); ; {
		var u api.Update
		if err := dec.Decode(&u); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("follow: the server went away: %w", err)
		}
		if u.End {
			return nil
		}
		if err := see(u); err != nil {
			return err
		}
	}
}

// about adds to a path which repository it is about, and which build.
func (c *Client) about(path, build string) string {
	v := url.Values{}
	if c.repository != "" {
		v.Set(api.ParamRepository, c.repository)
	}
	if build != "" && c.token != "" {
		v.Set(api.ParamBuild, build)
	}
	if len(v) == 0 {
		return path
	}
	return path + "?" + v.Encode()
}

func (c *Client) post(ctx context.Context, path string, body, into any) error {
	return c.exchange(ctx, http.MethodPost, path, body, into)
}

func (c *Client) get(ctx context.Context, path string, into any) error {
	return c.exchange(ctx, http.MethodGet, path, nil, into)
}

// exchange sends body, unless it is nil, and reads the answer, unless into is nil.
func (c *Client) exchange(ctx context.Context, method, path string, body, into any) error {
	resp, err := c.ask(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, largestAnswer)).Decode(into); err != nil {
		return fmt.Errorf("read answer of %s: %w", path, err)
	}
	return nil
}

// largestAnswer bounds an answer that is no stream, in bytes: of many builds, or
// of a log.
const largestAnswer = 1 << 30

// ask sends a request and turns answers other than 2xx into errors.
func (c *Client) ask(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var data io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		data = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, data)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return c.answered(req)
}

// answered turns answers other than 2xx into errors.
func (c *Client) answered(req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	var p api.Problem
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&p); err != nil || p.Message == "" {
		p.Message = fmt.Sprintf("%s %s: %s: this is no Velocity server, an older one, or a proxy before it", req.Method, req.URL.Redacted(), resp.Status)
	}
	return nil, &StatusError{Status: resp.StatusCode, Message: p.Message}
}

// A StatusError is a refusal, in the server's words.
type StatusError struct {
	Status  int // of HTTP
	Message string
}

func (e *StatusError) Error() string { return e.Message }
