package forgetest

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// personLife is how long the token of a person lives that an App was given.
const personLife = 8 * time.Hour

// Visit puts somebody before the browser who agrees to whatever application asks who
// they are; "" is somebody who refuses.
func (g *GitHub) Visit(login string) {
	defer g.hold()()
	g.consents.visitor = login
}

// AllowCallback lets the App send people back to an address after they signed in.
func (g *GitHub) AllowCallback(address string) {
	defer g.hold()()
	g.app.Callbacks = append(g.app.Callbacks, address)
}

// RevokePeople ends the tokens that a person gave to Apps.
func (g *GitHub) RevokePeople(login string) {
	defer g.hold()()
	for _, t := range g.tokens {
		if t.app && strings.EqualFold(t.who.Login, login) {
			t.revoked = true
		}
	}
}

// PeopleTokens are how many tokens of people are good that Apps were given.
func (g *GitHub) PeopleTokens() (n int) {
	defer g.hold()()
	for _, t := range g.tokens {
		if t.app && g.tokenError(t) == nil {
			n++
		}
	}
	return n
}

// installed reports whether the App is, for a repository. What people gave to the App
// opens only that.
func (g *GitHub) installed(r *Repo) bool {
	for _, in := range g.installations {
		if !in.gone && in.suspended.IsZero() && in.covers(r) {
			return true
		}
	}
	return false
}

// isOAuth reports whether a path is one of signing people in.
func isOAuth(path string) bool {
	return strings.HasPrefix(path, "/login/oauth/") || strings.HasPrefix(path, "/applications/") || path == "/user"
}

// serveOAuth answers what has to do with signing people in, which the description does
// not have.
func (g *GitHub) serveOAuth(w http.ResponseWriter, r *http.Request) {
	defer g.hold()()
	wrong := ""
	switch path := r.URL.Path; {
	case g.app == nil:
		http.NotFound(w, r)
	case path == "/login/oauth/authorize":
		wrong = g.consents.authorize(w, r, g.application(), g.Clock.Now())
	case path == "/login/oauth/access_token":
		wrong = g.grant(w, r)
	case path == "/user":
		g.getUser(w, r)
	default:
		wrong = g.endGrant(w, r)
	}
	if wrong != "" {
		g.gate.violate(mistaken(r, wrong))
	}
}

func (g *GitHub) application() application {
	return application{id: g.app.ClientID, secret: g.app.ClientSecret, callbacks: g.app.Callbacks}
}

// grant exchanges a code. GitHub answers a form, and says what is wrong with 200.
func (g *GitHub) grant(w http.ResponseWriter, r *http.Request) string {
	login, wrong, ok := g.consents.exchange(r, g.application(), g.Clock.Now())
	w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if !ok {
		_, _ = w.Write([]byte(url.Values{"error": {"bad_verification_code"}, "error_description": {"The code passed is incorrect or expired."}}.Encode()))
		return wrong
	}
	t := &token{
		value: "ghu_" + newSecret(), who: g.account(login), app: true,
		permissions: maps.Clone(g.app.Permissions), expires: g.Clock.Now().Add(personLife),
	}
	g.tokens[t.value] = t
	_, _ = w.Write([]byte(url.Values{
		"access_token": {t.value}, "expires_in": {strconv.Itoa(int(personLife.Seconds()))}, "token_type": {"bearer"}, "scope": {""},
		"refresh_token": {"ghr_" + newSecret()}, "refresh_token_expires_in": {"15897600"},
	}.Encode()))
	return ""
}

// getUser answers GET /user.
func (g *GitHub) getUser(w http.ResponseWriter, r *http.Request) {
	t := g.tokens[bearer(r.Header.Get("Authorization"))]
	if err := g.tokenError(t); err != nil || t.who == nil {
		writeJSON(w, http.StatusUnauthorized, object{"message": "Bad credentials"})
		return
	}
	writeJSON(w, http.StatusOK, object{"id": t.who.ID, "login": t.who.Login, "type": t.who.Type})
}

// endGrant answers DELETE /applications/{client_id}/token.
func (g *GitHub) endGrant(w http.ResponseWriter, r *http.Request) string {
	id, secret, _ := r.BasicAuth()
	if id != g.app.ClientID || secret != g.app.ClientSecret || r.URL.Path != "/applications/"+id+"/token" || r.Method != http.MethodDelete {
		http.NotFound(w, r)
		return "it is not the application that asks"
	}
	var ask struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return err.Error()
	}
	t := g.tokens[ask.Token]
	if g.tokenError(t) != nil || !t.app {
		http.NotFound(w, r)
		return ""
	}
	t.revoked = true
	w.WriteHeader(http.StatusNoContent)
	return ""
}
