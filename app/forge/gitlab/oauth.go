package gitlab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/forge/oauth"
)

// LoginOptions say as which application of GitLab's people are asked who they are.
type LoginOptions struct {
	URL       string // base address, for people
	ID        string // of the application
	Secret    string // of the application; not printed
	Callback  string // our address that GitLab sends people back to
	Transport http.RoundTripper
	Now       func() time.Time
	UserAgent string
}

// Format prints no secret, whatever the verb.
func (o LoginOptions) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "application %s", o.ID) }

// scopeOfPeople is what people are asked for: to read what they may read.
const scopeOfPeople = "read_api"

// A Login signs people in with their login on GitLab. It may be used by several
// goroutines.
type Login struct {
	*oauth.Client
	options LoginOptions
	base    *url.URL
}

// NewLogin makes a login of its options. It sends nothing.
func NewLogin(o LoginOptions) (*Login, error) {
	base, err := parseBase(o.URL)
	if err != nil {
		return nil, err
	}
	return &Login{
		Client: oauth.New(oauth.Options{
			ID: o.ID, Secret: o.Secret, Callback: o.Callback, Transport: bounded{o.Transport}, Now: o.Now, Scopes: []string{scopeOfPeople},
			Authorize: base.JoinPath("oauth/authorize").String(), Exchange: base.JoinPath("oauth/token").String(),
		}),
		options: o, base: base,
	}, nil
}

// Who is the person that a token is of. Errors: forge.ErrForbidden if it is of nobody
// any more.
func (l *Login) Who(ctx context.Context, token string) (forge.User, error) {
	if !canBeToken(token) {
		return forge.User{}, fmt.Errorf("%w: this is no token", forge.ErrForbidden)
	}
	theirs, err := asPerson(Options{Transport: l.options.Transport, UserAgent: l.options.UserAgent, Now: l.options.Now, Token: NewToken(token)}, l.base)
	if err != nil {
		return forge.User{}, err
	}
	var got struct {
		ID    int64  `json:"id"`
		Login string `json:"username"`
		State string `json:"state"`
		Bot   bool   `json:"bot"`
	}
	if err := theirs.get(ctx, "user", &got); err != nil {
		return forge.User{}, fmt.Errorf("ask whose token it is: %w", err)
	}
	if got.State != "active" {
		return forge.User{}, fmt.Errorf("ask whose token it is: %w: %s is %s", forge.ErrForbidden, got.Login, got.State)
	}
	return forge.User{ID: got.ID, Login: got.Login, Bot: got.Bot}, nil
}

// asPerson asks with somebody's token, whose limits are not ours.
func asPerson(o Options, base *url.URL) (*GitLab, error) {
	theirs, err := newPersonClient(o, base)
	if err != nil {
		return nil, err
	}
	return &GitLab{api: theirs, gate: &gate{now: o.Now}}, nil
}

// Revoke ends a person's token. One that has ended already is all right.
func (l *Login) Revoke(ctx context.Context, token string) error {
	id, secret := l.Credentials()
	form := url.Values{"client_id": {id}, "client_secret": {secret}, "token": {token}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.base.JoinPath("oauth/revoke").String(), strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("revoke a person's token: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := l.HTTP().Do(req)
	if err != nil {
		return fmt.Errorf("revoke a person's token: %w", err)
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	if err != nil {
		return fmt.Errorf("revoke a person's token: %w", err)
	}
	return nil
}
