// Package oauth is the part of signing people in that all forges have in common: the
// authorization code grant of OAuth 2.0 with PKCE (RFC 6749, RFC 7636), as one
// application that has a secret. Who the person is then, each forge is asked in its
// own words.
package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// ErrRefused means that a forge does not take a code: it is made up, used up, too old,
// or was asked for by somebody else.
var ErrRefused = errors.New("the forge does not take the code")

// Options say which application people are asked about, and where.
type Options struct {
	ID        string // of the application
	Secret    string // of the application; not printed
	Authorize string // address of the forge's page that asks people
	Exchange  string // address where codes are exchanged
	Callback  string // our address, to which people are sent back
	Scopes    []string
	Transport http.RoundTripper // how requests get out, without credentials
	Now       func() time.Time
}

// Format prints no secret, whatever the verb.
func (o Options) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "application %s", o.ID) }

// A Client is one application on one forge. It may be used by several goroutines.
type Client struct {
	config oauth2.Config
	http   *http.Client
	now    func() time.Time
}

// New makes a client. It sends nothing.
func New(o Options) *Client {
	return &Client{
		config: oauth2.Config{
			ClientID: o.ID, ClientSecret: o.Secret, RedirectURL: o.Callback, Scopes: o.Scopes,
			// A style that is found out by trying would use up the code.
			Endpoint: oauth2.Endpoint{AuthURL: o.Authorize, TokenURL: o.Exchange, AuthStyle: oauth2.AuthStyleInParams},
		},
		http: &http.Client{Transport: o.Transport, CheckRedirect: stay, Timeout: timeout},
		now:  o.Now,
	}
}

// timeout bounds one exchange.
const timeout = 30 * time.Second

// stay follows no redirect: the secret would go along, to wherever it leads.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Format prints no secret, whatever the verb.
func (c *Client) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "application %s", c.config.ClientID) }

// Address is the page that asks a person. It sends them back with the state and a
// code, which is good with the verifier only.
func (c *Client) Address(state, verifier string) string {
	return c.config.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier))
}

// Credentials are the application's number and secret, for other requests as itself.
func (c *Client) Credentials() (id, secret string) { return c.config.ClientID, c.config.ClientSecret }

// HTTP sends requests as exchanges are sent.
func (c *Client) HTTP() *http.Client { return c.http }

// A Grant is a person's leave to ask the forge in their name. The token is not
// printed.
type Grant struct {
	Token string
	Until time.Time // zero if it does not end
}

// Format prints no secret, whatever the verb.
func (g Grant) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "grant until %s", g.Until) }

// maxCode bounds a code, in bytes.
const maxCode = 1024

// Exchange makes a grant of the code that a person brought back, once. Errors:
// ErrRefused; what they say has no secret in it.
func (c *Client) Exchange(ctx context.Context, code, verifier string) (Grant, error) {
	if code == "" || len(code) > maxCode {
		return Grant{}, ErrRefused
	}
	began := c.now()
	got, err := c.config.Exchange(context.WithValue(ctx, oauth2.HTTPClient, c.http), code, oauth2.VerifierOption(verifier))
	if err != nil {
		return Grant{}, failure(err, code)
	}
	g := Grant{Token: got.AccessToken}
	if !got.Expiry.IsZero() { // which the library counts by another clock than ours
		g.Until = began.Add(time.Until(got.Expiry))
	}
	return g, nil
}

// Codes by which forges say that they do not take a code, and not that we are wrong:
// GitHub's own, and that of RFC 6749.
var refusals = map[string]bool{"bad_verification_code": true, "invalid_grant": true}

// failure is an error without what a forge wrote around it, which may be anything.
func failure(err error, code string) error {
	var told *oauth2.RetrieveError
	switch {
	case !errors.As(err, &told):
		return fmt.Errorf("exchange the code: %s", strings.ReplaceAll(err.Error(), code, "CODE"))
	case refusals[told.ErrorCode]:
		return fmt.Errorf("exchange the code: %w: %s", ErrRefused, told.ErrorCode)
	}
	return fmt.Errorf("exchange the code: %d %.100q", told.Response.StatusCode, told.ErrorCode)
}
