package hooks

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// GitHub receives deliveries of one GitHub App's webhook, or of webhooks of
// repositories with the same secret. It is an http.Handler.
type GitHub struct {
	gate    *gate
	secrets []Secret
}

// NewGitHub makes a handler that takes what is signed with any of the secrets: two,
// while one takes the place of the other. None at all, or an empty one, is an error.
func NewGitHub(r Receiver, secrets ...Secret) (*GitHub, error) {
	if len(secrets) == 0 {
		return nil, errors.New("receive from GitHub: there is no webhook secret")
	}
	if err := noneEmpty(secrets); err != nil {
		return nil, fmt.Errorf("receive from GitHub: %w", err)
	}
	return &GitHub{gate: newGate(r), secrets: secrets}, nil
}

// ServeHTTP implements http.Handler.
func (g *GitHub) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.gate.serve(w, r, g) }

func (g *GitHub) name() string { return fromGitHub }
func (g *GitHub) forms() bool  { return true }

// claim wants exactly one SHA-256 signature. The old one with SHA-1, which comes
// beside it, is not looked at.
func (g *GitHub) claim(h http.Header, _ time.Time) (claim, error) {
	header, ok := single(h, "X-Hub-Signature-256")
	if !ok {
		return claim{}, unsigned
	}
	sum, ok := parseHubSignature(header)
	if !ok {
		return claim{}, badSignature
	}
	event, hook, guid := word(h.Get("X-GitHub-Event")), h.Get("X-GitHub-Hook-ID"), h.Get("X-GitHub-Delivery")
	return claim{
		event:  event,
		proven: func(body []byte) bool { return signs(g.secrets, sum, body) },
		key: func(body []byte) string {
			if guid == "" {
				return bodyKey(fromGitHub, event, body)
			}
			return GitHubKey(hook, guid)
		},
	}, nil
}

// single is the value of a header that must be there once: of two that differ,
// somebody else on the way may have read the other one.
func single(h http.Header, name string) (string, bool) {
	values := h.Values(name)
	if len(values) != 1 || values[0] == "" {
		return "", false
	}
	return values[0], true
}
