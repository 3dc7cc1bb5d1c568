package forgetest

import (
	"net/http"
	"time"
)

// labPersonLife is how long the token of a person lives that an application was given.
const labPersonLife = 2 * time.Hour

// A LabApplication is an application on a fake GitLab.
type LabApplication struct{ ID, Secret string }

// Application makes the one application that may ask people who they are, and sends
// them back to a callback.
func (g *GitLab) Application(callback string, scopes ...string) LabApplication {
	defer g.hold()()
	g.app = application{id: newSecret(), secret: "gloas-" + newSecret(), callbacks: []string{callback}, scopes: scopes}
	return LabApplication{ID: g.app.id, Secret: g.app.secret}
}

// Visit puts somebody before the browser who agrees to whatever application asks who
// they are; "" is somebody who refuses.
func (g *GitLab) Visit(login string) {
	defer g.hold()()
	g.consents.visitor = login
}

// PeopleTokens are how many tokens of people are good that applications were given.
func (g *GitLab) PeopleTokens() (n int) {
	defer g.hold()()
	for _, t := range g.tokens {
		if t.oauth && !t.dead() {
			n++
		}
	}
	return n
}

// serveOAuth answers what has to do with signing people in.
func (g *GitLab) serveOAuth(w http.ResponseWriter, r *http.Request) {
	defer g.hold()()
	wrong := ""
	switch r.URL.Path {
	case "/oauth/authorize":
		if wrong = g.consents.authorize(w, r, g.app, g.Clock.Now()); wrong == "" && r.URL.Query().Get("scope") != g.app.scopes[0] {
			wrong = "the scope is not the application's"
		}
	case "/oauth/token":
		wrong = g.grant(w, r)
	case "/oauth/revoke":
		wrong = g.endGrant(w, r)
	default:
		http.NotFound(w, r)
	}
	if wrong != "" {
		g.gate.violate(mistaken(r, wrong))
	}
}

// grant exchanges a code.
func (g *GitLab) grant(w http.ResponseWriter, r *http.Request) string {
	login, wrong, ok := g.consents.exchange(r, g.app, g.Clock.Now())
	switch {
	case wrong != "":
		writeJSON(w, http.StatusUnauthorized, object{"error": "invalid_client", "error_description": "Client authentication failed"})
		return wrong
	case !ok:
		writeJSON(w, http.StatusBadRequest, object{"error": "invalid_grant", "error_description": "The provided authorization grant is invalid"})
		return ""
	}
	t := &LabToken{
		Value: newSecret() + newSecret()[:24], id: g.id(), g: g, user: g.user(login), scopes: g.app.scopes, oauth: true,
		expires: g.Clock.Now().Add(labPersonLife),
	}
	g.tokens[t.Value] = t
	writeJSON(w, http.StatusOK, object{
		"access_token": t.Value, "token_type": "Bearer", "expires_in": int(labPersonLife.Seconds()), "refresh_token": newSecret(),
		"scope": t.scopes[0], "created_at": g.Clock.Now().Unix(),
	})
	return ""
}

// endGrant answers POST /oauth/revoke. It says nothing about the token.
func (g *GitLab) endGrant(w http.ResponseWriter, r *http.Request) string {
	if r.Method != http.MethodPost || r.PostFormValue("client_id") != g.app.id || r.PostFormValue("client_secret") != g.app.secret {
		writeJSON(w, http.StatusForbidden, object{"error": "unauthorized_client"})
		return "it is not the application that asks"
	}
	if t := g.tokens[r.PostFormValue("token")]; t != nil && t.oauth {
		t.revoked = true
	}
	writeJSON(w, http.StatusOK, object{})
	return ""
}

// getUser answers GET /user.
func (g *GitLab) getUser(q *labRequest) (any, error) {
	o := g.userJSON(q.token.user)
	o["bot"] = false
	return o, nil
}

// listCommits answers GET /projects/{id}/repository/commits, to those who may read
// code: in a private project guests do not.
func (g *GitLab) listCommits(q *labRequest) (any, error) {
	if q.project.private && q.level < reporter && !q.token.user.Admin {
		return nil, labRefuse(http.StatusForbidden, "403 Forbidden")
	}
	refs, err := q.project.bare.Refs("refs/heads/")
	if err != nil {
		return nil, err
	}
	tip, ok := refs["refs/heads/"+q.project.branch]
	if !ok {
		return labPage(g, q, []object{}), nil
	}
	return labPage(g, q, []object{{"id": tip}}), nil
}
