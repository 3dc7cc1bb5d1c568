package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/storage/roster"
)

// A crowd is people of a forge, who may change at any moment what they may. A token
// is "token of LOGIN".
type crowd struct {
	mu     sync.Mutex
	rights map[string]map[string]roster.Right // by login and repository
	ids    map[string]int64                   // of those who are known
	admins []string
	public []string // repositories that everybody may read
	silent bool     // the forge does not answer
	given  []string // tokens that were given back
	asked  []string // questions about repositories
	ends   time.Time
}

// may gives somebody a right in a repository, or takes it with "".
func (c *crowd) may(login, repository string, right roster.Right) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rights == nil {
		c.rights, c.ids = map[string]map[string]roster.Right{}, map[string]int64{}
	}
	if c.rights[login] == nil {
		c.rights[login], c.ids[login] = map[string]roster.Right{}, int64(len(c.ids)+1)
	}
	c.rights[login][repository] = right
}

// change changes something about the crowd.
func (c *crowd) change(with func(*crowd)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	with(c)
}

var errSilent = fmt.Errorf("the forge does not answer: secret detail")

func (c *crowd) reads(repository, token string) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return token == "" && slices.Contains(c.public, repository), nil
}

func (c *crowd) lets(repository string, p web.Person, need roster.Right) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, fmt.Sprint(p.Login, " ", need, " ", repository))
	if c.silent {
		return false, errSilent
	}
	return c.good(p) && c.rights[p.Login][repository].Includes(need), nil
}

func (c *crowd) good(p web.Person) bool {
	return p.Forge == "github" && p.Token == "token of "+p.Login && p.ID != 0 && c.ids[p.Login] == p.ID
}

// Known implements web.People.
func (c *crowd) Known(_ context.Context, p web.Person) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.silent {
		return false, errSilent
	}
	return c.good(p), nil
}

// Admin implements web.People.
func (c *crowd) Admin(p web.Person) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.admins, p.Login)
}

// Ways implements web.People.
func (c *crowd) Ways() []web.Way { return []web.Way{gateway{c, "github"}, gateway{c, "gitlab"}} }

// A gateway is how the crowd signs in. A code is a login, on any forge.
type gateway struct {
	*crowd
	name string
}

func (g gateway) Forge() string { return g.name }
func (g gateway) Title() string { return strings.ToUpper(g.name) }

func (gateway) Address(state, verifier string) string {
	return "https://github.example/authorize?" + url.Values{"state": {state}, "verifier": {verifier}}.Encode()
}

func (g gateway) Finish(_ context.Context, code, verifier string) (web.Person, time.Time, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.silent:
		return web.Person{}, time.Time{}, errSilent
	case g.ids[code] == 0 || len(verifier) < 43:
		return web.Person{}, time.Time{}, fmt.Errorf("%w: unknown", web.ErrNotSignedIn)
	}
	return web.Person{ID: g.ids[code], Login: code, Token: "token of " + code}, g.ends, nil
}

func (g gateway) End(_ context.Context, token string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.given = append(g.given, token)
	return nil
}

// visits is a browser that was answered: where it is sent, and its cookies.
func (r *rig) visits(path string, cookies ...*http.Cookie) posted {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.url+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, c := range cookies {
		req.AddCookie(c)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	resp.Body.Close()
	return posted{resp.StatusCode, resp.Header.Get("Location"), resp.Cookies()}
}

// leaves begins to sign in, and returns the state that the forge is told with the
// cookie of the browser.
func (r *rig) leaves(next string) (state string, cookie *http.Cookie) {
	r.t.Helper()
	got := r.visits("/login/github?" + url.Values{"next": {next}}.Encode())
	to, err := url.Parse(got.location)
	if err != nil || got.status != http.StatusSeeOther || to.Host != "github.example" || len(got.cookies) != 1 {
		r.t.Fatalf("signing in leads to %q with %d cookies, %d, %v", got.location, len(got.cookies), got.status, err)
	}
	return to.Query().Get("state"), got.cookies[0]
}

// comes signs somebody in with the forge and returns the session.
func (r *rig) comes(login string) *http.Cookie {
	r.t.Helper()
	state, cookie := r.leaves("/")
	got := r.visits("/login/github/callback?"+url.Values{"state": {state}, "code": {login}}.Encode(), cookie)
	if got.status != http.StatusSeeOther {
		r.t.Fatalf("%s is not signed in: %d", login, got.status)
	}
	return sessionIn(got.cookies)
}

// sessionIn is the session among cookies, nil if there is none.
func sessionIn(cookies []*http.Cookie) *http.Cookie {
	for _, c := range cookies {
		if c.Name == "velocity" && c.MaxAge > 0 {
			return c
		}
	}
	return nil
}
