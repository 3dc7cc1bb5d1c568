package github

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v62/github"
	"github.com/velocity-ci/velocity/app/forge"
)

// reporter lists the permissions of the tokens that the server uses itself. They
// are asked for as far as they were granted: a token that asks for more is refused
// whole, and an owner may not have agreed to a newer list yet.
var reporter = []string{"metadata", "checks", "statuses", "pull_requests"}

// maxOpen is for how long what an owner granted is believed. A token lasts as long.
const maxOpen = 50 * time.Minute

// A door is one installation: the session that asks with its tokens, and what its
// owner granted.
type door struct {
	*session
	app *App
	id  int64

	turn      chan struct{} // has a token while somebody opens the door; guards the rest
	transport *ghinstallation.Transport
	granted   map[string]string
	opened    time.Time
}

// door returns the door of an installation.
func (a *App) door(installation int64) *door {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := a.doors[installation]
	if d == nil {
		d = &door{app: a, id: installation, turn: make(chan struct{}, 1)}
		d.session = a.session(&cached{next: d, cache: a.cache, owner: installation})
		a.doors[installation] = d
	}
	return d
}

// RoundTrip sends a request with the installation's token. A token that is refused
// may have died early (the App was suspended, its key or permissions changed): it
// is replaced once.
func (d *door) RoundTrip(req *http.Request) (*http.Response, error) {
	tr, _, err := d.open(req.Context(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := d.send(tr, req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	again := req.Clone(req.Context())
	if req.Body != nil {
		if again.Body, err = req.GetBody(); err != nil {
			return resp, nil //nolint:nilerr // the answer that there is says more
		}
	}
	resp.Body.Close()
	if tr, _, err = d.open(req.Context(), tr); err != nil {
		return nil, err
	}
	return d.send(tr, again)
}

// send closes what ghinstallation leaves open when it got no token, and keeps what
// the answer said.
func (d *door) send(tr *ghinstallation.Transport, req *http.Request) (*http.Response, error) {
	resp, err := tr.RoundTrip(req)
	var refused *ghinstallation.HTTPError
	if !errors.As(err, &refused) || refused.Response == nil {
		return resp, err
	}
	defer refused.Response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(refused.Response.Body, maxMessage))
	d.forget(tr)
	return nil, failureOfToken(refused.Response, text)
}

// open returns the transport of the installation and what was granted to it. One
// that is stale is replaced.
func (d *door) open(ctx context.Context, stale *ghinstallation.Transport) (*ghinstallation.Transport, map[string]string, error) {
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	now := d.app.options.Now()
	if d.transport != nil && d.transport != stale && now.Sub(d.opened) < maxOpen {
		return d.transport, d.granted, nil
	}
	d.transport = nil
	var in installation
	if _, err := d.app.self.get(ctx, fmt.Sprintf("app/installations/%d", d.id), &in); err != nil {
		return nil, nil, err
	}
	if in.SuspendedAt != "" {
		return nil, nil, fmt.Errorf("%w: installation %d is suspended", forge.ErrForbidden, d.id)
	}
	apps, err := d.app.apps()
	if err != nil {
		return nil, nil, err
	}
	tr := ghinstallation.NewFromAppsTransport(apps, d.id)
	tr.InstallationTokenOptions = &github.InstallationTokenOptions{Permissions: wanted(in.Permissions)}
	d.transport, d.granted, d.opened = tr, in.Permissions, now
	return tr, in.Permissions, nil
}

// forget drops a transport that got no token, so that what is granted is looked at
// again before the next try.
func (d *door) forget(tr *ghinstallation.Transport) {
	d.turn <- struct{}{}
	defer func() { <-d.turn }()
	if d.transport == tr {
		d.transport = nil
	}
}

// grants reports whether the installation's owner granted a permission of the table.
func (d *door) grants(ctx context.Context, name string) (bool, error) {
	if err := d.gate.open(); err != nil {
		return false, err
	}
	_, granted, err := d.open(ctx, nil)
	if err != nil {
		return false, d.gate.judge(err)
	}
	return covers(granted[name], access(name)), nil
}

// wanted is what the reporter may have of what was granted.
func wanted(granted map[string]string) *github.InstallationPermissions {
	p := &github.InstallationPermissions{}
	fields := map[string]**string{"metadata": &p.Metadata, "checks": &p.Checks, "statuses": &p.Statuses, "pull_requests": &p.PullRequests}
	for _, name := range reporter {
		if covers(granted[name], access(name)) {
			*fields[name] = github.String(access(name))
		}
	}
	return p
}
