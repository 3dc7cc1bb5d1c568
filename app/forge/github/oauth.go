package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/forge/oauth"
)

// LoginOptions say as which App people are asked who they are. An App has this beside
// its number and key.
type LoginOptions struct {
	Web       string // address of GitHub, for people
	ID        string // the App's client id
	Secret    string // one of its client secrets; not printed
	Callback  string // our address that GitHub sends people back to
	Transport http.RoundTripper
	Now       func() time.Time
	UserAgent string
}

// Format prints no secret, whatever the verb.
func (o LoginOptions) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "client %s", o.ID) }

// A Login signs people in with their login on GitHub. It may be used by several
// goroutines.
type Login struct {
	*oauth.Client
	app *App // which is nobody; for its sessions
}

// NewLogin makes a login of its options. It sends nothing. People of an App give no
// scopes: their tokens may do what both the App and they may.
func NewLogin(o LoginOptions) (*Login, error) {
	web, err := parseBase(o.Web)
	if err != nil {
		return nil, err
	}
	api, err := APIOf(o.Web)
	if err != nil {
		return nil, err
	}
	base, err := parseBase(api)
	if err != nil {
		return nil, err
	}
	return &Login{
		Client: oauth.New(oauth.Options{
			ID: o.ID, Secret: o.Secret, Callback: o.Callback, Transport: bounded{o.Transport}, Now: o.Now,
			Authorize: web.JoinPath("login/oauth/authorize").String(), Exchange: web.JoinPath("login/oauth/access_token").String(),
		}),
		app: &App{options: Options{Transport: o.Transport, Now: o.Now, UserAgent: o.UserAgent}, base: base},
	}, nil
}

// Who is the person that a token is of. Errors: forge.ErrForbidden if it is of nobody
// any more.
func (l *Login) Who(ctx context.Context, token string) (forge.User, error) {
	if !canBeToken(token) {
		return forge.User{}, fmt.Errorf("%w: this is no token", forge.ErrForbidden)
	}
	var got user
	_, err := l.app.session(&bearer{token: token, next: bounded{l.app.options.Transport}}).get(ctx, "user", &got)
	var f *failure
	if errors.As(err, &f) && f.status == http.StatusUnauthorized {
		return forge.User{}, fmt.Errorf("ask whose token it is: %w: it is not good any more", forge.ErrForbidden)
	}
	if err != nil {
		return forge.User{}, fmt.Errorf("ask whose token it is: %w", err)
	}
	return forge.User{ID: got.ID, Login: got.Login, Bot: got.Type == "Bot"}, nil
}

// Revoke ends a person's token. One that has ended already is all right.
func (l *Login) Revoke(ctx context.Context, token string) error {
	id, secret := l.Credentials()
	as := &application{id: id, secret: secret, next: bounded{l.app.options.Transport}}
	_, err := l.app.session(as).ask(ctx, http.MethodDelete, "applications/"+id+"/token", map[string]string{"access_token": token}, nil)
	var f *failure
	if errors.As(err, &f) && (f.status == http.StatusNotFound || f.status == http.StatusUnprocessableEntity) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("revoke a person's token: %s", strings.ReplaceAll(err.Error(), token, "TOKEN"))
	}
	return nil
}

// application asks as the application itself.
type application struct {
	id, secret string
	next       http.RoundTripper
}

func (t *application) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.SetBasicAuth(t.id, t.secret)
	return t.next.RoundTrip(req)
}
