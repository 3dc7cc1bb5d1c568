package web_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/app/web/page"
	"github.com/velocity-ci/velocity/storage/roster"
)

// A shape is what kind of answer a route has.
type shape string

const (
	anAPI  shape = "API"    // for programs: who is not known gets 401
	aPage  shape = "page"   // for people: who is not known is sent to sign in
	stream shape = "stream" // followed by the script of a page
)

// A row is what one route is said to need.
type row struct {
	need   roster.Right
	on     web.Scope
	shape  shape
	tokens bool   // and not people
	by     string // of what is open to anybody: what proves who asks, and its test
}

var (
	readsPage  = row{need: roster.Read, on: web.OnRepository, shape: aPage}
	readsLive  = row{need: roster.Read, on: web.OnRepository, shape: stream}
	readsAPI   = row{need: roster.Read, on: web.OnRepository, shape: anAPI}
	actsAPI    = row{need: roster.Act, on: web.OnRepository, shape: anAPI}
	serverPage = row{need: roster.Read, on: web.OnServer, shape: aPage}
	serverAPI  = row{need: roster.Read, on: web.OnServer, shape: anAPI}
	adminsPage = row{need: roster.Admin, on: web.OnServer, shape: aPage}
	actsPage   = row{need: roster.Act, on: web.OnRepository, shape: aPage}
	adminsAPI  = row{need: roster.Admin, on: web.OnServer, shape: anAPI}
)

func anybody(by string) row { return row{need: web.Anybody, by: by} }

// routes is what every route of the server needs: a route that is not here, or needs
// something else, fails TestEveryRouteAsEveryRole.
var routes = map[string]row{
	"GET " + api.PathDescription:                  anybody("the same for all: TestDescriptionIsServed"),
	"GET /badge/{path...}":                        anybody("shows what whoever asks may read: TestBadgeTellsNothing"),
	"GET " + page.FeedPath:                        readsAPI,
	"GET " + api.PathBuild + logOfTask + "/times": readsAPI,
	"GET /healthz":                                anybody("says nothing: TestReady"),
	"GET /readyz":                                 anybody("says nothing: TestReady"),
	"GET /nats":                                   anybody("builders prove their keys: package dispatch"),
	"/git/{path...}":                              anybody("a token by password: TestGit"),
	"GET /assets/{name}":                          anybody("the same for all: TestAssets"),
	"GET /login":                                  anybody("the form: TestSignIn"),
	"POST /login":                                 anybody("a token: TestSignIn"),
	"POST /logout":                                anybody("own origin: TestSignIn"),
	"GET /login/{forge}":                          anybody("leads to the forge: TestSignInWithForge"),
	"GET " + loginCallback:                        anybody("a sealed state and a code: TestSignInWithForge"),

	"PUT " + api.PathPacks + "{sum}":       anybody("an attempt's credential: TestBlobsAreForAttempts"),
	"PUT " + api.PathKept:                  anybody("an attempt's credential: TestBlobsAreForAttempts"),
	"GET " + api.PathNeeded + "{n}":        anybody("an attempt's credential: TestBlobsAreForAttempts"),
	"GET " + api.PathKeptCaches + "{name}": anybody("an attempt's credential: TestBlobsAreForAttempts"),
	"PUT " + api.PathKeptCaches + "{name}": anybody("an attempt's credential: TestBlobsAreForAttempts"),
	"POST " + api.PathRegister:             anybody("a registration token: TestRegister"),
	"POST " + web.HooksOfGitHub:            anybody("a signature: package hooks"),
	"POST " + web.HooksOfGitLab:            anybody("a secret: package hooks"),
	"GET " + web.SetupPath:                 anybody("the address that was printed: TestSetup"),
	"POST " + web.SetupPath:                anybody("the address that was printed: TestSetup"),
	"GET " + web.SetupCallback:             anybody("the address that was printed: TestSetup"),

	"POST /builds/{id}/rerun":      actsPage,
	"POST /builds/{id}/cancel":     actsPage,
	"POST /builds/{id}/approve":    actsPage,
	"GET /start":                   actsPage,
	"POST /start":                  actsPage,
	"GET /asked/{trigger}":         actsPage,
	"POST /builders/{name}/drain":  adminsPage,
	"POST /builders/{name}/resume": adminsPage,
	"GET /deliveries":              adminsPage,
	"POST /deliveries/{key}/retry": adminsPage,
	"GET /metrics":                 {need: roster.Read, on: web.OnServer, shape: anAPI, tokens: true},

	"GET /{$}":                                 serverPage,
	"GET /queue":                               serverPage,
	"GET /builders":                            adminsPage,
	"GET /builds":                              readsPage,
	"GET /builds/{id}":                         readsPage,
	"GET /builds/{id}/live":                    readsLive,
	"GET /builds/{id}/plan":                    readsPage,
	"GET /builds/{id}/events":                  readsPage,
	"GET /builds/{id}/log/{task}":              readsPage,
	"GET /builds/{id}/log/{task}/live":         readsLive,
	"GET /builds/{id}/log/{task}/raw":          readsPage,
	"GET /builds/{id}/artifacts/{task}":        readsPage,
	"GET " + fileOfBuild("/builds/{id}"):       readsPage,
	"GET " + api.PathSelf:                      serverAPI,
	"GET " + api.PathRepositories:              serverAPI,
	"GET " + api.PathBuilds:                    readsAPI,
	"GET " + api.PathBuild + "{id}":            readsAPI,
	"GET " + api.PathBuild + logOfTask:         readsAPI,
	"GET " + api.PathBuild + "{id}/artifacts":  readsAPI,
	"GET " + api.PathBuild + artifacts:         readsAPI,
	"GET " + fileOfBuild(apiBuild):             readsAPI,
	"GET " + api.PathBuild + "{id}/why":        readsAPI,
	"GET " + api.PathBuild + "{id}/why/{task}": readsAPI,
	"GET " + api.PathBuild + "{id}/follow":     readsAPI,
	"GET " + api.PathTrigger + "{id}/follow":   readsAPI,

	"POST " + api.PathStart:   actsAPI,
	"POST " + api.PathRerun:   actsAPI,
	"POST " + api.PathCancel:  actsAPI,
	"POST " + api.PathApprove: actsAPI,

	"GET " + api.PathRetention:                    {need: roster.Admin, on: web.OnRepository, shape: anAPI},
	"GET " + api.PathBuilders:                     adminsAPI,
	"POST " + api.PathBuilders + "/{name}/drain":  adminsAPI,
	"POST " + api.PathBuilders + "/{name}/resume": adminsAPI,
	"POST " + api.PathBuilders + "/{name}/revoke": adminsAPI,
	"POST " + api.PathRegistrations:               adminsAPI,
	"GET " + api.PathTokens:                       adminsAPI,
	"POST " + api.PathTokens:                      adminsAPI,
	"DELETE " + api.PathTokens + "/{id}":          adminsAPI,
	"GET " + api.PathSecrets:                      adminsAPI,
	"POST " + api.PathSecrets:                     adminsAPI,
	"POST " + api.PathRotate:                      adminsAPI,
	"DELETE " + api.PathSecrets + "/{name}":       adminsAPI,
}

const (
	loginCallback = "/login/{forge}/callback"
	logOfTask     = "{id}/logs/{task}"
	artifacts     = "{id}/artifacts/{task}"
	apiBuild      = api.PathBuild + "{id}"
)

func fileOfBuild(build string) string { return build + "/artifacts/{task}/{path...}" }

// A role is who asks: by a token of the API, by a session, or by nothing.
type role struct {
	name    string
	secret  string       // sent to the API
	session *http.Cookie // sent to pages, and to the API if there is no secret
	server  roster.Right // what they may, as to the table
	shop    roster.Right // what they may in the repository shop; "" if it is not there for them
	person  bool         // a forge is asked
}

// rolesOf are all who may come to a rig.
func rolesOf(t *testing.T, r *rig) []role {
	t.Helper()
	none := &http.Cookie{Name: "velocity", Value: "x.1.y"}
	roles := []role{{name: "anonymous"}, {name: "nonsense", secret: "vla_x", session: none}}
	for _, right := range roster.Rights {
		secret, _ := r.token(right)
		session := r.signIn(secret)
		roles = append(roles,
			role{name: "token " + string(right), secret: secret, session: session, server: right, shop: right},
			role{name: "session of a token " + string(right), session: session, server: right, shop: right})
	}
	secret, _ := r.token(roster.Act, "bank")
	roles = append(roles, role{name: "token of the bank", secret: secret, session: r.signIn(secret), server: roster.Act})
	revoked, made := r.token(roster.Admin)
	roles = append(roles, role{name: "revoked token", secret: revoked, session: r.signIn(revoked)})
	if err := r.front.Roster.Withdraw(t.Context(), made.ID, "ann"); err != nil {
		t.Fatal(err)
	}
	expired, _, err := r.front.Roster.Issue(t.Context(), roster.Token{Name: "old", Rights: roster.Admin, Expires: noon.Add(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	roles = append(roles, role{name: "expired token", secret: expired, session: r.signIn(expired)})

	r.crowd.may("other", "bank", roster.Act)
	r.crowd.may("reader", "shop", roster.Read)
	r.crowd.may("writer", "shop", roster.Act)
	r.crowd.may("chief", "bank", roster.Read)
	r.crowd.may("gone", "shop", roster.Act)
	r.crowd.change(func(c *crowd) { c.admins = []string{"chief"} })
	for _, who := range []role{
		{name: "other", server: roster.Read}, {name: "reader", server: roster.Read, shop: roster.Read},
		{name: "writer", server: roster.Read, shop: roster.Act}, {name: "chief", server: roster.Admin},
	} {
		who.session, who.person = r.comes(who.name), true
		roles = append(roles, who)
	}
	left := r.comes("gone")
	if got := r.post("/logout", nil, http.Header{"Cookie": {left.Name + "=" + left.Value}}); got.status != http.StatusSeeOther {
		t.Fatalf("signing out: %d", got.status)
	}
	roles = append(roles, role{name: "person who signed out", session: left})
	r.now = func() time.Time { return noon.Add(time.Hour) }
	return roles
}

// origins are where a browser says that a request comes from.
var origins = map[string]http.Header{
	"no browser":  {},
	"same origin": {"Sec-Fetch-Site": {"same-origin"}},
	"cross site":  {"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}},
	"old browser": {"Origin": {"https://evil.example"}},
}

// want is how somebody is to be answered, by the table alone.
func (a row) want(who role, method, origin string) string {
	cookie := who.session != nil && (a.shape != anAPI || who.secret == "")
	foreign := origin == "cross site" || origin == "old browser"
	switch {
	case who.server == "" && a.shape == aPage:
		return "to sign in"
	case who.server == "":
		return "401"
	case cookie && foreign && method != http.MethodGet, a.tokens && who.person:
		return "403"
	case !who.person && !who.server.Includes(a.need), a.on == web.OnServer && !who.server.Includes(a.need):
		return "403"
	case a.on == web.OnServer:
		return "answered"
	case who.shop == "":
		return "no such repository"
	case !who.shop.Includes(a.need):
		return "403"
	}
	return "answered"
}

// Every route is walked as everybody who may come, from everywhere. What is answered
// must be what the table says, and the table is the whole of what there is.
func TestEveryRouteAsEveryRole(t *testing.T) {
	r := newRig(t)
	roles := rolesOf(t, r)
	seen := map[string]bool{}
	for _, route := range web.Routes() {
		a, ok := routes[route.Pattern]
		seen[route.Pattern] = true
		if !ok || a.need != route.Need || a.on != route.On || a.need == web.Anybody && a.by == "" {
			t.Errorf("%s needs %s on %s; the table of this test says %+v, %t", route.Pattern, route.Need, route.On, a, ok)
			continue
		}
		if a.need == web.Anybody {
			continue
		}
		for _, who := range roles {
			for origin, header := range origins {
				if strings.HasPrefix(route.Pattern, "GET ") && (origin == "same origin" || origin == "old browser") {
					continue // a browser says so of what it sends, and nobody looks at it
				}
				walk(t, r, route.Pattern, a, who, origin, header)
			}
		}
	}
	for pattern := range routes {
		if !seen[pattern] {
			t.Errorf("%s is in the table of this test, and nowhere else", pattern)
		}
	}
}

// walk asks for one route, as somebody, from somewhere.
func walk(t *testing.T, r *rig, pattern string, a row, who role, origin string, header http.Header) {
	t.Helper()
	method, path, _ := strings.Cut(pattern, " ")
	want := a.want(who, method, origin)
	if want == "answered" && (strings.HasPrefix(path, api.PathTrigger) || strings.HasPrefix(path, "/asked/")) {
		return // it would wait for an architect that looks into its inbox
	}
	path = strings.NewReplacer(api.PathTokens+"/{id}", api.PathTokens+"/nobody", "{id}", "7", "{task}", "test", "{name}", "nobody", "{$}", "").Replace(path)
	if a.on == web.OnRepository {
		path += "?repository=shop"
	}
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range header {
		req.Header.Set(name, header.Get(name))
	}
	if who.secret != "" && a.shape == anAPI {
		req.Header.Set("Authorization", "Bearer "+who.secret)
	} else if who.session != nil {
		req.AddCookie(who.session)
	}
	before := r.state()
	got := r.answer(req)
	if got.is != want {
		t.Errorf("%s as %s from %s: %d %.200s; want it %s", pattern, who.name, origin, got.status, got.body, want)
	}
	if after := r.state(); (method == http.MethodGet || want != "answered") && after != before {
		t.Errorf("%s as %s from %s, which is %s, changes something: %s; before %s", pattern, who.name, origin, want, after, before)
	}
}

// An answered is how a request was answered: as rows say it, and as it came.
type answered struct {
	is     string
	status int
	body   string
}

func (r *rig) answer(req *http.Request) answered {
	r.t.Helper()
	resp, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	status, body := resp.StatusCode, string(text)
	got := answered{"answered", status, body}
	switch {
	case status == http.StatusSeeOther && strings.HasPrefix(resp.Header.Get("Location"), "/login?"):
		got.is = "to sign in"
	case status == http.StatusUnauthorized:
		got.is = "401"
	case status == http.StatusForbidden:
		got.is = "403"
	case status == http.StatusNotFound && strings.Contains(body, "there is no repository"):
		got.is = "no such repository"
	}
	return got
}

// state is all that requests can change.
func (r *rig) state() string {
	r.t.Helper()
	refs, _, err := r.repo.Refs("refs/")
	if err != nil {
		r.t.Fatal(err)
	}
	var asked int
	for _, c := range r.clerks {
		c.mu.Lock()
		asked += len(c.asked) + c.reruns
		c.mu.Unlock()
	}
	return fmt.Sprint(refs, asked)
}
