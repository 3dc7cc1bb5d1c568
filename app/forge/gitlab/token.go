package gitlab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
)

// Warning is how long before a token's end it is warned of.
const Warning = 30 * 24 * time.Hour

// needed are the scopes that a token must have. Statuses, notes, webhooks and all
// questions need api; to fetch, read_repository is enough, and api is enough, too.
const needed = "api"

// Health is what can be said of the token, and of the GitLab that knows it.
type Health struct {
	Version string // of GitLab
	User    int64  // number of the token's user
	Name    string // that was given to the token
	Scopes  []string
	Missing []string  // scopes that are needed
	Expires time.Time // zero if it does not
	Soon    bool      // it expires within the Warning
}

// Check asks GitLab what the token is worth. A token that has expired or was revoked
// is a forge.ErrForbidden.
func (g *GitLab) Check(ctx context.Context) (Health, error) {
	var version struct {
		Version string `json:"version"`
	}
	if err := g.get(ctx, "version", &version); err != nil {
		return Health{}, fmt.Errorf("ask for GitLab's version: %w", err)
	}
	h := Health{Version: version.Version}
	t, err := g.token(ctx)
	if err != nil {
		return h, fmt.Errorf("ask about the token: %w", err)
	}
	h.User, h.Name, h.Scopes = t.User, t.Name, t.Scopes
	if !slices.Contains(t.Scopes, needed) {
		h.Missing = append(h.Missing, needed)
	}
	if t.Expires != "" {
		if h.Expires, err = time.Parse(time.DateOnly, t.Expires); err != nil {
			return h, fmt.Errorf("when the token expires: %w", err)
		}
		h.Soon = h.Expires.Sub(g.options.Now()) < Warning
	}
	return h, nil
}

// token is what GitLab says of the token that asks.
type token struct {
	Name    string   `json:"name"`
	User    int64    `json:"user_id"`
	Scopes  []string `json:"scopes"`
	Expires string   `json:"expires_at"`
}

func (g *GitLab) token(ctx context.Context) (token, error) {
	var t token
	err := g.get(ctx, "personal_access_tokens/self", &t)
	return t, err
}

// An identity is the number of the token's user, once it is known.
type identity struct {
	turn chan struct{} // has a token while somebody asks; guards the rest
	user int64
}

func newIdentity() *identity { return &identity{turn: make(chan struct{}, 1)} }

// me is the number of the token's user; 0 if GitLab does not say.
func (g *GitLab) me(ctx context.Context) (int64, error) {
	select {
	case g.self.turn <- struct{}{}:
		defer func() { <-g.self.turn }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if g.self.user != 0 {
		return g.self.user, nil
	}
	t, err := g.token(ctx)
	if errors.Is(err, forge.ErrGone) { // a GitLab before 15.5
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("whose token it is: %w", err)
	}
	g.self.user = t.User
	return t.User, nil
}

// Credential is what git fetches a project with. GitLab has no tokens for an hour,
// so it is the same each time, and closing it does nothing.
func (g *GitLab) Credential(context.Context, forge.Repository) (forge.Credential, error) {
	return forge.NewCredential("oauth2", g.options.FetchToken.reveal(), func(context.Context) error { return nil }), nil
}
