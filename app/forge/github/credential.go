package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/google/go-github/v62/github"
	"github.com/velocity-ci/velocity/app/forge"
)

// Credential gives out a token that reads the contents of one repository, for an
// hour at most. Close revokes it; what it cannot revoke dies by itself after the
// hour.
func (a *App) Credential(ctx context.Context, r forge.Repository) (forge.Credential, error) {
	ask := &github.InstallationTokenOptions{
		RepositoryIDs: []int64{r.ID},
		Permissions:   &github.InstallationPermissions{Contents: github.String("read"), Metadata: github.String("read")},
	}
	var got struct {
		Token string `json:"token"`
	}
	_, err := a.self.ask(ctx, http.MethodPost, fmt.Sprintf("app/installations/%d/access_tokens", r.Installation), ask, &got)
	if err != nil {
		var f *failure
		if errors.As(err, &f) && f.status == http.StatusUnprocessableEntity {
			err = fmt.Errorf("%w: %w", forge.ErrForbidden, f)
		}
		return forge.Credential{}, fmt.Errorf("token for %s: %w", r.Name, err)
	}
	if got.Token == "" {
		return forge.Credential{}, fmt.Errorf("token for %s: the answer has none", r.Name)
	}
	once := &revoke{session: a.session(&bearer{token: got.Token, next: bounded{a.options.Transport}})}
	return forge.NewCredential("x-access-token", got.Token, once.do), nil
}

// revoke gives a token back. It may be called again after an error.
type revoke struct {
	*session
	mu   sync.Mutex
	done bool
}

func (r *revoke) do(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done {
		return nil
	}
	_, err := r.ask(ctx, http.MethodDelete, "installation/token", nil, nil)
	var f *failure
	if errors.As(err, &f) && f.status == http.StatusUnauthorized {
		err = nil // it is dead already
	}
	if err != nil {
		return fmt.Errorf("revoke a token: %w", err)
	}
	r.done = true
	return nil
}

// bearer asks with a token that is at hand.
type bearer struct {
	token string
	next  http.RoundTripper
}

func (t *bearer) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+t.token)
	return t.next.RoundTrip(req)
}
