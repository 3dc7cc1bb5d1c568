package github

import (
	"crypto/rsa"
	"fmt"
	"net/http"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/golang-jwt/jwt/v4"
)

// How long what the App signs is good. GitHub takes ten minutes at most, and
// nothing that was signed in its future.
const (
	backdate = time.Minute // for a clock of ours that is ahead
	lifetime = 9 * time.Minute
)

// A signer signs by the clock of the options, for longer than ghinstallation would.
type signer struct {
	key *rsa.PrivateKey
	now func() time.Time
}

// Sign is called by ghinstallation for each request of the App.
func (s *signer) Sign(claims jwt.Claims) (string, error) {
	registered, ok := claims.(*jwt.RegisteredClaims)
	if !ok {
		return "", fmt.Errorf("claims are %T", claims)
	}
	now := s.now().Truncate(time.Second)
	registered.IssuedAt = jwt.NewNumericDate(now.Add(-backdate))
	registered.ExpiresAt = jwt.NewNumericDate(now.Add(lifetime))
	return jwt.NewWithClaims(jwt.SigningMethodRS256, registered).SignedString(s.key)
}

// apps signs requests as the App. There is one for every door, since ghinstallation
// writes to its fields.
func (a *App) apps() (*ghinstallation.AppsTransport, error) {
	t, err := ghinstallation.NewAppsTransportWithOptions(bounded{a.options.Transport}, a.options.AppID,
		ghinstallation.WithSigner(&signer{key: a.key, now: a.options.Now}))
	if err != nil {
		return nil, fmt.Errorf("github: sign as the App: %w", err)
	}
	t.BaseURL = a.base.String()
	return t, nil
}

// appAuth signs a copy of each request: ghinstallation signs what it is given, and
// the copy that a redirect makes of that would be signed twice.
type appAuth struct{ next http.RoundTripper }

func (t *appAuth) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.next.RoundTrip(req.Clone(req.Context()))
}
