package forgetest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// GitLabOptions say how a fake GitLab is made.
type GitLabOptions struct {
	// Dir is an existing folder, for the repositories.
	Dir string
	// Data is the folder of recordings (require.ForgeData); "" means that nothing is
	// held against the vendor's description, and Validated says so.
	Data string
	// Faults is what goes wrong; nil is nothing.
	Faults *Faults
	// Locked is how often a status finds its commit locked, from 0 to 1.
	Locked float64
	// Lenient servers take the same state of a status twice, as some of 2025 do.
	Lenient bool
}

// A GitLab is a fake one: a server with users, projects, merge requests, webhooks
// and commit statuses. Its methods are safe for concurrent use. Its sources are
// GitLab's own OpenAPI description, its documentation and its code; where they leave
// something open, it is as strict as any report of a user says that GitLab was.
// Requests are held against the description; answers are not, since its types of
// those are often wrong.
//
// What it does not have: groups of their own (a project's path is a name), GraphQL, pushes of git clients, and CI.
type GitLab struct {
	// Clock is by which tokens, webhooks and logs go.
	Clock Clock
	// Hooks sends the webhooks and has their log.
	Hooks *Sender

	dir     string
	server  *httptest.Server
	gate    *gate
	faults  *Faults
	locked  float64
	lenient bool

	mu        sync.Mutex
	changed   bell
	last      int64                // number that was given out last
	users     map[string]*labUser  // by username
	tokens    map[string]*LabToken // by value
	projects  map[int64]*Project
	hooks     []*labHook
	pipelines []*pipeline
	statuses  []*labStatus
	refused   []string
	commands  []string
	app       application
	consents  consents
}

// NewGitLab starts a fake GitLab. Close ends it.
func NewGitLab(o GitLabOptions) (*GitLab, error) {
	g := &GitLab{
		dir: o.Dir, faults: o.Faults, locked: o.Locked, lenient: o.Lenient,
		users: map[string]*labUser{}, tokens: map[string]*LabToken{}, projects: map[int64]*Project{},
		consents: consents{given: map[string]consent{}},
		last:     1 << 31, // beyond 32 bits, as the numbers of gitlab.com are
	}
	var spec *Spec
	if o.Data != "" {
		var err error
		if spec, err = loadLabSpec(filepath.Join(o.Data, "openapi", "gitlab-rest-cut.json")); err != nil {
			return nil, err
		}
	}
	g.gate = &gate{
		api: g.restAPI(), spec: spec, faults: o.Faults, now: g.Clock.Now, refuse: labInvalid, limit: g.refuseLimited,
		excuse: func(error) error { return nil },
	}
	g.Hooks = NewSender(o.Faults, hookLimit, g.Clock.Now)
	g.server = httptest.NewServer(http.HandlerFunc(g.serve))
	return g, nil
}

// Close ends the server and the sending of webhooks.
func (g *GitLab) Close() {
	g.Hooks.Close()
	g.server.Close()
}

// URL is the address for people and for git; the API is below it, as "/api/v4/".
func (g *GitLab) URL() string { return g.server.URL }

// Calls are all requests of the API so far, in the order in which they ended.
func (g *GitLab) Calls() []Call { return g.gate.Calls() }

// Violations are the requests that no client should have made, in words.
func (g *GitLab) Violations() []string { return g.gate.Violations() }

// Validated reports whether requests are held against GitLab's description.
func (g *GitLab) Validated() bool { return g.gate.Validated() }

// WaitCall waits for a call of the API that was answered.
func (g *GitLab) WaitCall(ctx context.Context, match func(Call) bool) (Call, error) {
	return g.gate.waitCall(ctx, match)
}

// hold takes the lock; what it returns gives it back and wakes who waits.
func (g *GitLab) hold() func() {
	g.mu.Lock()
	return func() {
		g.changed.ring()
		g.mu.Unlock()
	}
}

// wait waits until something is so. The lock is held while ready looks.
func (g *GitLab) wait(ctx context.Context, what string, ready func() bool) error {
	for {
		g.mu.Lock()
		ok, changed := ready(), g.changed.next()
		g.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		}
	}
}

// id is a new number. The lock is held.
func (g *GitLab) id() int64 {
	g.last++
	return g.last
}

// serve sorts requests.
func (g *GitLab) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/api/v4/"):
		g.gate.ServeHTTP(w, r)
	case strings.Contains(r.URL.Path, ".git/"):
		g.serveGit(w, r)
	case strings.HasPrefix(r.URL.Path, "/oauth/"):
		g.serveOAuth(w, r)
	default:
		http.NotFound(w, r)
	}
}

// A labUser is a person, or the bot of a token.
type labUser struct {
	ID    int64
	Login string
	Admin bool
	State string // active or blocked
}

// User is the number of a user by name, who is made if there is none.
func (g *GitLab) User(login string) int64 {
	defer g.hold()()
	return g.user(login).ID
}

// Admin makes a user an administrator.
func (g *GitLab) Admin(login string) {
	defer g.hold()()
	g.user(login).Admin = true
}

// Block keeps a user from everything.
func (g *GitLab) Block(login string) {
	defer g.hold()()
	g.user(login).State = "blocked"
}

func (g *GitLab) user(login string) *labUser {
	if login == "" {
		login = "octocat"
	}
	if g.users[login] == nil {
		g.users[login] = &labUser{ID: g.id(), Login: login, State: "active"}
	}
	return g.users[login]
}

// A LabToken is an access token on a fake GitLab.
type LabToken struct {
	Value string

	id      int64
	g       *GitLab
	user    *labUser
	scopes  []string
	expires time.Time // zero if it does not
	revoked bool
	oauth   bool // an application was given it by the user, who signed in
}

// Token makes an access token of a user.
func (g *GitLab) Token(login string, scopes ...string) *LabToken {
	defer g.hold()()
	t := &LabToken{Value: "glpat-" + newSecret()[:20], id: g.id(), g: g, user: g.user(login), scopes: scopes}
	g.tokens[t.Value] = t
	return t
}

// Expire makes it expire at the beginning of a day.
func (t *LabToken) Expire(day time.Time) {
	defer t.g.hold()()
	t.expires = day
}

// Revoke ends it.
func (t *LabToken) Revoke() {
	defer t.g.hold()()
	t.revoked = true
}

// has reports whether the token has any of the scopes.
func (t *LabToken) has(scopes ...string) bool {
	return slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(t.scopes, s) })
}

// dead reports whether the token opens nothing.
func (t *LabToken) dead() bool {
	return t == nil || t.revoked || t.user.State != "active" || !t.expires.IsZero() && !t.g.Clock.Now().Before(t.expires)
}

// getSelf answers GET /personal_access_tokens/self.
func (g *GitLab) getSelf(q *labRequest) (any, error) {
	t := q.token
	o := object{
		"id": t.id, "name": "velocity", "revoked": false, "active": true, "scopes": t.scopes, "user_id": t.user.ID,
		"created_at": stamp(g.Clock.Now()), "expires_at": nil,
	}
	if !t.expires.IsZero() {
		o["expires_at"] = t.expires.Format(time.DateOnly)
	}
	return o, nil
}

func (g *GitLab) userJSON(u *labUser) object {
	return object{
		"id": u.ID, "username": u.Login, "name": u.Login, "state": u.State, "locked": false,
		"avatar_url": nil, "web_url": g.URL() + "/" + u.Login,
	}
}
