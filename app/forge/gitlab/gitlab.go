// Package gitlab speaks to one GitLab, gitlab.com or one's own, with an access token:
// it shows checks as commit statuses and notes, answers what the rest of Velocity
// asks about projects, merge requests and people, and sets up webhooks.
//
// A request is sent once: retrying is for the caller, who is told by the errors of
// package forge what kind of failure it was. After an answer that says that a limit
// is reached nothing is sent until it is over. Redirects are not followed, for
// projects are asked for by their numbers, which stay. Answers are decoded into
// structs of ours that hold what is used, so that a field nobody reads cannot break
// a request.
package gitlab

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
)

// DefaultURL is where gitlab.com is.
const DefaultURL = "https://gitlab.com"

// A Token is a personal, group or project access token; the zero value is none. It
// prints as "***", and as a hidden part of another struct, of which fmt calls no
// methods, as a function.
type Token struct{ text func() string }

// NewToken makes one; of "" it is none.
func NewToken(text string) Token {
	if text == "" {
		return Token{}
	}
	return Token{text: func() string { return text }}
}

func (t Token) reveal() string {
	if t.text == nil {
		return ""
	}
	return t.text()
}

// Format implements fmt.Formatter for all verbs.
func (Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "***") }

// MarshalText keeps it out of JSON, and so of logs.
func (Token) MarshalText() ([]byte, error) { return []byte("***"), nil }

// Options say which GitLab is spoken to, and how.
type Options struct {
	URL         string            // base address, for people; DefaultURL if ""
	Token       Token             // of scope api
	FetchToken  Token             // of scope read_repository, for Credential; none is Token
	NoSummaries bool              // write no note on a merge request whose build failed
	Transport   http.RoundTripper // how requests get out, without credentials
	Now         func() time.Time
	Log         *slog.Logger
	UserAgent   string
}

// A GitLab is one that is spoken to. It may be used by several goroutines.
type GitLab struct {
	options Options
	base    *url.URL
	api     api
	gate    *gate
	known   *memory
	self    *identity
}

// Open makes a GitLab of its options. It sends nothing.
func Open(o Options) (*GitLab, error) {
	if o.URL == "" {
		o.URL = DefaultURL
	}
	base, err := parseBase(o.URL)
	if err != nil {
		return nil, err
	}
	if o.Transport == nil {
		return nil, errors.New("gitlab: there is no transport to send requests with")
	}
	for what, token := range map[string]Token{"token": o.Token, "token for fetching": o.FetchToken} {
		if strings.ContainsFunc(token.reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, fmt.Errorf("gitlab: the %s has characters that no token has, such as a space or an end of line", what)
		}
	}
	if o.Token.text == nil {
		return nil, errors.New("gitlab: there is no token")
	}
	if o.FetchToken.text == nil {
		o.FetchToken = o.Token
	}
	api, err := newClient(o, base)
	if err != nil {
		return nil, err
	}
	return &GitLab{options: o, base: base, api: api, gate: &gate{now: o.Now}, known: newMemory(), self: newIdentity()}, nil
}

// parseBase reads the base address of a GitLab, which may be below a path.
func parseBase(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("gitlab: address: %w", withoutAddress(err))
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("gitlab: address %q is not of the form https://HOST, without name, password and question", u.Scheme+"://"+u.Host)
	}
	u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), "/api/v4")
	return u, nil
}

// withoutAddress drops what was given from an error of parsing it: it may have a
// password in it.
func withoutAddress(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// key is a project for ever.
func key(project int64) forge.Key { return forge.Key{Kind: forge.GitLab, ID: project} }
