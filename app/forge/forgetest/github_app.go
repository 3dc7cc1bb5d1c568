package forgetest

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"time"
)

// An App is a GitHub App.
type App struct {
	ID                           int64
	Slug, ClientID, ClientSecret string
	Key                          *rsa.PrivateKey
	Permissions                  map[string]string
	Events                       []string
	Callbacks                    []string // where people may be sent back to who sign in

	hook hook
	made time.Time
}

// hook is where an App's webhooks go to.
type hook struct {
	URL, Secret string
	Form        bool // sent as a form, not as JSON
}

// PEM is the App's private key in the form in which GitHub hands it out.
func (a *App) PEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(a.Key)}))
}

// newApp registers an App. The lock is held, or nobody else knows of g yet.
func (g *GitHub) newApp(slug string, permissions map[string]string, events []string, h hook) *App {
	return &App{
		ID: g.id(), Slug: slug, ClientID: "Iv1." + newSecret()[:16], ClientSecret: newSecret(),
		Key: appKey(), Permissions: maps.Clone(permissions), Events: slices.Clone(events), hook: h, made: g.Clock.Now(),
	}
}

// App is the App as it is now. It fails the test if there is none.
func (g *GitHub) App(tb TB) App {
	tb.Helper()
	defer g.hold()()
	if g.app == nil {
		tb.Fatalf("there is no App yet")
	}
	return *g.app
}

// HookSecret is the secret of the App's webhooks.
func (g *GitHub) HookSecret() string {
	defer g.hold()()
	return g.app.hook.Secret
}

// SetHook says where the App's webhooks go to; "" is nowhere.
func (g *GitHub) SetHook(url string) {
	defer g.hold()()
	g.app.hook.URL = url
}

// An Installation is the App on an account.
type Installation struct {
	g           *GitHub
	id          int64
	account     *Account
	all         bool           // all repositories of the account
	repos       map[int64]bool // otherwise: these
	permissions map[string]string
	events      []string
	suspended   time.Time // zero: it is not
	made        time.Time
	gone        bool
}

// ID is the installation's number.
func (in *Installation) ID() int64 { return in.id }

// Install installs the App on an account, for some repositories or, without any,
// for all.
func (g *GitHub) Install(tb TB, login string, repos ...*Repo) *Installation {
	tb.Helper()
	defer g.hold()()
	if g.app == nil {
		tb.Fatalf("install: there is no App yet")
	}
	in := &Installation{
		g: g, id: g.id(), account: g.account(login), all: len(repos) == 0, repos: map[int64]bool{},
		permissions: maps.Clone(g.app.Permissions), events: slices.Clone(g.app.Events), made: g.Clock.Now(),
	}
	for _, r := range repos {
		if r.owner != in.account {
			tb.Fatalf("install: %s is not of %s", r.fullName(), login)
		}
		in.repos[r.id] = true
	}
	g.installations[in.id] = in
	g.send(in, nil, "installation", "created", in.account, object{"repositories": g.briefly(g.covered(in)), "requester": nil})
	return in
}

// covers reports whether the installation reaches a repository.
func (in *Installation) covers(r *Repo) bool {
	return !in.gone && !r.deleted && r.owner == in.account && (in.all || in.repos[r.id])
}

// covered are the repositories of an installation, in the order of their numbers.
func (g *GitHub) covered(in *Installation) []*Repo {
	var repos []*Repo
	for _, id := range slices.Sorted(maps.Keys(g.repos)) {
		if in.covers(g.repos[id]) {
			repos = append(repos, g.repos[id])
		}
	}
	return repos
}

// installation finds the one that reaches a repository; nil if there is none.
func (g *GitHub) installation(r *Repo) *Installation {
	for _, id := range slices.Sorted(maps.Keys(g.installations)) {
		if in := g.installations[id]; in.covers(r) {
			return in
		}
	}
	return nil
}

// Uninstall takes the App off the account: its tokens die, it is not found any more.
func (in *Installation) Uninstall() {
	defer in.g.hold()()
	repos := in.g.briefly(in.g.covered(in))
	in.g.revoke(in)
	in.g.send(in, nil, "installation", "deleted", in.account, object{"repositories": repos})
	in.gone = true
}

// Suspend makes the installation useless until Unsuspend.
func (in *Installation) Suspend() {
	defer in.g.hold()()
	in.suspended = in.g.Clock.Now()
	in.g.revoke(in)
	in.g.send(in, nil, "installation", "suspend", in.account, object{"repositories": in.g.briefly(in.g.covered(in))})
}

// Unsuspend ends what Suspend began.
func (in *Installation) Unsuspend() {
	defer in.g.hold()()
	in.suspended = time.Time{}
	in.g.send(in, nil, "installation", "unsuspend", in.account, object{"repositories": in.g.briefly(in.g.covered(in))})
}

// Accept grants the App these permissions instead of those that it had.
func (in *Installation) Accept(permissions map[string]string) {
	defer in.g.hold()()
	in.permissions = maps.Clone(permissions)
	in.g.revoke(in)
	in.g.send(in, nil, "installation", "new_permissions_accepted", in.account, object{})
}

// Add lets the App reach a repository.
func (in *Installation) Add(tb TB, r *Repo) {
	tb.Helper()
	defer in.g.hold()()
	if in.all {
		tb.Fatalf("the installation has all repositories")
	}
	in.repos[r.id] = true
	in.g.selection(in, "added", r)
}

// Remove takes a repository away from the App.
func (in *Installation) Remove(tb TB, r *Repo) {
	tb.Helper()
	defer in.g.hold()()
	if in.all {
		tb.Fatalf("the installation has all repositories")
	}
	delete(in.repos, r.id)
	in.g.selection(in, "removed", r)
}

// selection tells of a change of the repositories of an installation.
func (g *GitHub) selection(in *Installation, action string, r *Repo) {
	added, removed := []object{}, []object{}
	if action == "added" {
		added = g.briefly([]*Repo{r})
	} else {
		removed = g.briefly([]*Repo{r})
	}
	g.send(in, nil, "installation_repositories", action, in.account, object{
		"repository_selection": in.selected(), "repositories_added": added, "repositories_removed": removed, "requester": nil,
	})
}

func (in *Installation) selected() string {
	if in.all {
		return "all"
	}
	return "selected"
}

// appJSON is an App as the API shows it.
func (g *GitHub) appJSON(a *App) object {
	return object{
		"id": a.ID, "slug": a.Slug, "node_id": node("A", a.ID), "client_id": a.ClientID,
		"owner": g.userJSON(g.account("velocity-ci")), "name": a.Slug, "description": nil,
		"external_url": "https://velocity.example.com", "html_url": g.URL() + "/apps/" + a.Slug,
		"created_at": stamp(a.made), "updated_at": stamp(a.made),
		"permissions": a.Permissions, "events": a.Events,
	}
}

// installationJSON is an installation as the API and webhooks show it.
func (g *GitHub) installationJSON(in *Installation) object {
	api := fmt.Sprintf("%s/api/v3/app/installations/%d", g.URL(), in.id)
	o := object{
		"id": in.id, "account": g.userJSON(in.account), "repository_selection": in.selected(),
		"access_tokens_url": api + "/access_tokens", "repositories_url": g.URL() + "/api/v3/installation/repositories",
		"html_url": fmt.Sprintf("%s/settings/installations/%d", g.URL(), in.id),
		"app_id":   g.app.ID, "app_slug": g.app.Slug, "client_id": g.app.ClientID,
		"target_id": in.account.ID, "target_type": in.account.Type,
		"permissions": in.permissions, "events": in.events, "single_file_name": nil,
		"created_at": stamp(in.made), "updated_at": stamp(in.made), "suspended_by": nil, "suspended_at": nil,
	}
	if !in.suspended.IsZero() {
		o["suspended_by"], o["suspended_at"] = g.userJSON(in.account), stamp(in.suspended)
	}
	return o
}
