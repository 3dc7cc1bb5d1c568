package forgetest

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	tokenLife = time.Hour
	// longestJWT is how far ahead a JWT of an App may expire.
	longestJWT = 10 * time.Minute
	// maxNamed is how many repositories a token can be narrowed to.
	maxNamed = 500
)

// A token opens some of what an installation opens, or a person.
type token struct {
	value       string
	in          *Installation
	who         *Account // whose it is, instead of an installation's; nil otherwise
	repos       []int64  // nil: all of the installation or person
	permissions map[string]string
	expires     time.Time
	revoked     bool
	app         bool // the App was given it by the person, who signed in
}

// allows reports whether the token has a permission, such as "checks", at least at
// a level, read or write.
func (t *token) allows(permission, level string) bool {
	has := t.permissions[permission]
	return has == "write" || has == "admin" || has != "" && level == "read"
}

// reaches reports whether the token is good for a repository.
func (t *token) reaches(r *Repo) bool {
	named := t.repos == nil || slices.Contains(t.repos, r.id)
	if t.who != nil {
		return !r.private || named && r.roles[t.who.ID] != "" && (!t.app || r.g.installed(r))
	}
	return t.in.covers(r) && named
}

// revoke ends all tokens of an installation.
func (g *GitHub) revoke(in *Installation) {
	for _, t := range g.tokens {
		if t.in == in {
			t.revoked = true
		}
	}
}

// Tokens are how many tokens open anything now.
func (g *GitHub) Tokens() int {
	defer g.hold()()
	n := 0
	for _, t := range g.tokens {
		if g.tokenError(t) == nil {
			n++
		}
	}
	return n
}

func (g *GitHub) tokenError(t *token) error {
	if t == nil || t.revoked || t.in != nil && t.in.gone || !g.Clock.Now().Before(t.expires) {
		return &refusal{status: http.StatusUnauthorized, message: "Bad credentials"}
	}
	return nil
}

// checkJWT is nil if a token was made by the App itself, just now.
func (g *GitHub) checkJWT(value string) error {
	refuse := func(message string) error { return &refusal{status: http.StatusUnauthorized, message: message} }
	parts := strings.Split(value, ".")
	if len(parts) != 3 || g.app == nil {
		return refuse("A JSON web token could not be decoded")
	}
	var header struct{ Alg string }
	var claims struct {
		Iss any
		Iat json.Number
		Exp json.Number
	}
	for i, v := range []any{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(raw, v) != nil {
			return refuse("A JSON web token could not be decoded")
		}
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if header.Alg != "RS256" || err != nil || rsa.VerifyPKCS1v15(&g.app.Key.PublicKey, crypto.SHA256, sum[:], signature) != nil {
		return refuse("A JSON web token could not be decoded")
	}
	if iss := fmt.Sprint(claims.Iss); iss != fmt.Sprint(g.app.ID) && iss != g.app.ClientID && iss != fmt.Sprint(float64(g.app.ID)) {
		return refuse("Integration not found")
	}
	return g.checkTimes(claims.Iat, claims.Exp, refuse)
}

func (g *GitHub) checkTimes(issued, expires json.Number, refuse func(string) error) error {
	iat, err1 := issued.Int64()
	exp, err2 := expires.Int64()
	now := time.Now().Add(g.skew) // clients make them by real time
	switch {
	case err1 != nil:
		return refuse("'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
	case err2 != nil:
		return refuse("'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires")
	case time.Unix(iat, 0).After(now):
		return refuse("'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
	case !time.Unix(exp, 0).After(now):
		return refuse("'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires")
	case time.Unix(exp, 0).Sub(now) > longestJWT:
		return refuse("'Expiration time' claim ('exp') is too far in the future")
	}
	return nil
}

// createToken answers POST /app/installations/{installation_id}/access_tokens.
func (g *GitHub) createToken(q *request) (any, error) {
	in := g.installations[q.number("installation_id")]
	switch {
	case in == nil || in.gone:
		return nil, notFound
	case !in.suspended.IsZero():
		return nil, &refusal{status: http.StatusForbidden, message: "This installation has been suspended"}
	}
	var ask struct {
		Repositories  []string          `json:"repositories"`
		RepositoryIDs []int64           `json:"repository_ids"`
		Permissions   map[string]string `json:"permissions"`
	}
	if strings.TrimSpace(string(q.body)) == "null" {
		return nil, wrong("the body is null, and has to be an object")
	}
	if len(q.body) > 0 {
		if err := json.Unmarshal(q.body, &ask); err != nil {
			return nil, wrong("the body cannot be read: %v", err)
		}
	}
	t := &token{in: in, permissions: maps.Clone(in.permissions), expires: g.Clock.Now().Add(tokenLife)}
	if err := g.narrow(t, ask.Repositories, ask.RepositoryIDs, ask.Permissions); err != nil {
		return nil, err
	}
	// The form of 2026: the App's number, and a part with dots of some 500 bytes.
	long := strings.Repeat(newSecret(), 6)
	t.value = fmt.Sprintf("ghs_%d_%s.%s.%s-_%s", g.app.ID, newSecret(), long, long, newSecret())
	g.tokens[t.value] = t
	answer := object{
		"token": t.value, "expires_at": stamp(t.expires), "permissions": t.permissions, "repository_selection": in.selected(),
	}
	if t.repos != nil {
		answer["repository_selection"] = "selected"
	}
	return created(answer), nil
}

// narrow makes a token one for some repositories and permissions.
func (g *GitHub) narrow(t *token, names []string, ids []int64, permissions map[string]string) error {
	if len(names) > maxNamed || len(ids) > maxNamed {
		return wrong("a token is for at most %d named repositories", maxNamed)
	}
	unreachable := &refusal{
		status:  http.StatusUnprocessableEntity,
		message: "There is at least one repository that does not exist or is not accessible to the parent installation.",
	}
	for _, name := range names {
		r, moved := g.repo(t.in.account.Login, name)
		if r == nil || moved {
			return unreachable
		}
		ids = append(ids, r.id)
	}
	for _, id := range ids {
		if r := g.repos[id]; r == nil || !t.in.covers(r) {
			return unreachable
		}
		t.repos = append(t.repos, id)
	}
	if permissions == nil {
		return nil
	}
	has := &token{permissions: t.in.permissions}
	for permission, level := range permissions {
		if !has.allows(permission, level) {
			return &refusal{
				status:  http.StatusUnprocessableEntity,
				message: "The permissions requested are not granted to this installation.",
			}
		}
	}
	t.permissions = maps.Clone(permissions)
	t.permissions["metadata"] = "read" // comes with everything
	return nil
}

// revokeToken answers DELETE /installation/token.
func (g *GitHub) revokeToken(q *request) (any, error) {
	q.token.revoked = true
	return noContent, nil
}
