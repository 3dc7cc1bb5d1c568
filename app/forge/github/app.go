// Package github speaks to one GitHub, github.com or an Enterprise Server, as one
// GitHub App: it shows checks, answers what the rest of Velocity asks about
// repositories, pull requests and people, and gives out tokens to fetch with.
//
// A request is sent once, save that a refused token is replaced once: retrying is
// for the caller, who is told by the errors of package forge what kind of failure
// it was. After an answer that says that a limit is reached nothing is sent for
// that installation until it is over. Redirects are followed by reads at the same
// host only. Answers are decoded into structs of ours that hold what is used, so
// that a field nobody reads cannot break a request.
package github

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v4"
)

// DefaultAPI is where github.com answers.
const DefaultAPI = "https://api.github.com/"

// Options say which App speaks to which GitHub.
type Options struct {
	API       string            // base address; DefaultAPI if "". An Enterprise Server's is https://HOST/api/v3/
	AppID     int64             // the App's number
	Key       []byte            // the App's private key, PEM
	Transport http.RoundTripper // how requests get out, without credentials
	Now       func() time.Time
	Log       *slog.Logger
	UserAgent string
}

// An App speaks to GitHub. It may be used by several goroutines.
type App struct {
	options Options
	base    *url.URL
	key     *rsa.PrivateKey
	self    *session // speaks as the App itself
	cache   *cache

	// runs are the unfinished check runs of which this process knows exactly what
	// GitHub has, since it got the answer to the last request about them, and when
	// they began. Of all others (an answer was lost, or another process asked) it has
	// to be found out.
	runs *memory[int64, time.Time]
	// statuses are digests of what commits were shown last where check runs are not
	// permitted.
	statuses *memory[string, string]

	mu    sync.Mutex
	doors map[int64]*door // by installation
}

// Open makes an App of its options. It sends nothing.
func Open(o Options) (*App, error) {
	base, err := parseBase(o.API)
	if err != nil {
		return nil, err
	}
	if o.Transport == nil {
		return nil, errors.New("github: there is no transport to send requests with")
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM(o.Key)
	if err != nil {
		return nil, fmt.Errorf("github: the App's private key: %w", err)
	}
	if o.AppID <= 0 {
		return nil, errors.New("github: the App has no number")
	}
	o.Key = nil // it would be printed with the App
	a := &App{options: o, base: base, key: key, cache: newCache(maxCache), doors: map[int64]*door{}}
	a.runs, a.statuses = newMemory[int64, time.Time](), newMemory[string, string]()
	apps, err := a.apps()
	if err != nil {
		return nil, err
	}
	a.self = a.session(&appAuth{apps})
	return a, nil
}

// parseBase reads the base address of an API.
func parseBase(address string) (*url.URL, error) {
	if address == "" {
		address = DefaultAPI
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("github: address of the API: %w", err)
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, fmt.Errorf("github: address of the API %q is not of the form https://HOST/api/v3/", u.Redacted())
	}
	if !strings.HasSuffix(u.Path, "/") {
		u.Path += "/"
	}
	return u, nil
}

// session is a client that asks with one credential.
func (a *App) session(auth http.RoundTripper) *session {
	return &session{http: httpClient(auth), base: a.base, agent: a.options.UserAgent, gate: &gate{now: a.options.Now}}
}
