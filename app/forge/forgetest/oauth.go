package forgetest

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// oauthCodeLife is how long a code is good that a person brings back.
const oauthCodeLife = 10 * time.Minute

// An application is who may ask people to sign in: a GitHub App, or an application of
// GitLab's.
type application struct {
	id, secret string
	callbacks  []string
	scopes     []string
}

// consents are the people who agreed that an application may know them, and what came
// of it. The lock of their forge guards them.
type consents struct {
	visitor string // login of who is at the browser; "" for nobody who agrees
	given   map[string]consent
}

// A consent is one that waits for its code to be exchanged.
type consent struct {
	login, client, callback, challenge string
	expires                            time.Time
}

// authorize answers the page that asks a person, who agrees at once. What is wrong
// with the application is shown there, and not sent back: RFC 6749, 4.1.2.1.
func (c *consents) authorize(w http.ResponseWriter, r *http.Request, of application, now time.Time) (wrong string) {
	q := r.URL.Query()
	back, err := url.Parse(q.Get("redirect_uri"))
	switch {
	case r.Method != http.MethodGet || q.Get("response_type") != "code":
		wrong = "it is no request for a code"
	case of.id == "" || q.Get("client_id") != of.id:
		wrong = "there is no such application"
	case err != nil || !slices.Contains(of.callbacks, q.Get("redirect_uri")):
		wrong = "the redirect_uri is not one of the application"
	case q.Get("state") == "" || q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43:
		wrong = "there is no state, or no challenge of S256"
	}
	if wrong != "" {
		http.Error(w, wrong, http.StatusBadRequest)
		return wrong
	}
	values := back.Query()
	values.Set("state", q.Get("state"))
	if c.visitor == "" {
		values.Set("error", "access_denied")
	} else {
		code := newSecret()[:20]
		c.given[code] = consent{
			login: c.visitor, client: of.id, callback: q.Get("redirect_uri"), challenge: q.Get("code_challenge"), expires: now.Add(oauthCodeLife),
		}
		values.Set("code", code)
	}
	back.RawQuery = values.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
	return ""
}

// exchange uses up a code, and says whose it is. wrong is what no client should have
// sent; a code that is not good is "" with ok false.
func (c *consents) exchange(r *http.Request, of application, now time.Time) (login, wrong string, ok bool) {
	q := r.PostFormValue
	switch {
	case r.Method != http.MethodPost || r.URL.RawQuery != "" || q("grant_type") != "authorization_code":
		return "", "it is no exchange of a code", false
	case q("client_id") != of.id || subtle.ConstantTimeCompare([]byte(q("client_secret")), []byte(of.secret)) != 1:
		return "", "the application's number or secret is wrong", false
	}
	given, known := c.given[q("code")]
	delete(c.given, q("code"))
	sum := sha256.Sum256([]byte(q("code_verifier")))
	ok = known && given.client == of.id && given.callback == q("redirect_uri") && now.Before(given.expires) &&
		len(q("code_verifier")) >= 43 && base64.RawURLEncoding.EncodeToString(sum[:]) == given.challenge
	return given.login, "", ok
}

// mistaken says of which address something was wrong.
func mistaken(r *http.Request, wrong string) string {
	return fmt.Sprintf("%s %s: %s", r.Method, r.URL.Path, wrong)
}
