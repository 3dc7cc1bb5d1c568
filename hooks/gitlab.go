package hooks

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// GitLab receives deliveries of webhooks of projects and groups, of integrations,
// and of system hooks. It is an http.Handler.
type GitLab struct {
	gate   *gate
	tokens []Secret
	keys   []Secret
}

// NewGitLab makes a handler that takes what is signed with any of the keys. Without
// keys it takes what carries any of the tokens; with keys the tokens open nothing, as
// whoever saw a token once could send with it for ever. Neither, or an empty one, is
// an error.
func NewGitLab(r Receiver, tokens, keys []Secret) (*GitLab, error) {
	if len(tokens)+len(keys) == 0 {
		return nil, errors.New("receive from GitLab: there is neither a token nor a signing key")
	}
	if err := errors.Join(noneEmpty(tokens), noneEmpty(keys)); err != nil {
		return nil, fmt.Errorf("receive from GitLab: %w", err)
	}
	return &GitLab{gate: newGate(r), tokens: tokens, keys: keys}, nil
}

// ServeHTTP implements http.Handler.
func (g *GitLab) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.gate.serve(w, r, g) }

func (g *GitLab) name() string { return fromGitLab }
func (g *GitLab) forms() bool  { return false }

func (g *GitLab) claim(h http.Header, now time.Time) (claim, error) {
	if len(g.keys) > 0 {
		return g.signed(h, now)
	}
	return g.bearer(h)
}

// bearer is proven by the header alone, before the body is read.
func (g *GitLab) bearer(h http.Header) (claim, error) {
	token, ok := single(h, "X-Gitlab-Token")
	if !ok {
		return claim{}, unsigned
	}
	if !isToken(g.tokens, token) {
		return claim{}, badSignature
	}
	event, hook, id := word(h.Get("X-Gitlab-Event")), h.Get("X-Gitlab-Webhook-UUID"), h.Get("Idempotency-Key")
	return claim{event: event, key: func(body []byte) string {
		if id == "" {
			return bodyKey(fromGitLab, event, body)
		}
		return key(fromGitLab, "hook", hook, id)
	}}, nil
}

// signed is proven by a signature in the manner of Standard Webhooks. Its key is made
// of what is signed, and so a replay cannot get another one.
func (g *GitLab) signed(h http.Header, now time.Time) (claim, error) {
	id, named := single(h, "Webhook-Id")
	timestamp, timed := single(h, "Webhook-Timestamp")
	header, ok := single(h, "Webhook-Signature")
	if !named || !timed || !ok {
		return claim{}, unsigned
	}
	if !fresh(timestamp, now) {
		return claim{}, stale
	}
	sums, ok := parseSignatures(header)
	if !ok {
		return claim{}, badSignature
	}
	head := []byte(id + "." + timestamp + ".")
	return claim{
		event: word(h.Get("X-Gitlab-Event")),
		proven: func(body []byte) bool {
			fits := false
			for _, sum := range sums {
				fits = signs(g.keys, sum, head, body) || fits
			}
			return fits
		},
		key: func([]byte) string { return key(fromGitLab, "signed", id) },
	}, nil
}
