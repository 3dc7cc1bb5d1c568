package web_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/storage/roster"
)

// isPage reports whether a route is for people.
func isPage(pattern string) bool {
	return slices.ContainsFunc([]string{"/{$}", "/queue", "/builders", "/builds", "/start", "/asked/", "/deliveries"},
		func(path string) bool { return strings.HasPrefix(pattern, path) })
}

// signIn sends the form with a token and returns the session, nil if there is none.
func (r *rig) signIn(secret string) *http.Cookie {
	r.t.Helper()
	got := r.post("/login", url.Values{"token": {secret}, "next": {"/"}}, nil)
	if len(got.cookies) == 0 {
		return nil
	}
	c := got.cookies[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" {
		r.t.Errorf("the session is %+v", c)
	}
	return c
}

// posted is what a form was answered.
type posted struct {
	status   int
	location string
	cookies  []*http.Cookie
}

// post sends a form with headers that a browser would add.
func (r *rig) post(path string, form url.Values, header http.Header) posted {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name := range header {
		req.Header.Set(name, header.Get(name))
	}
	resp, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	resp.Body.Close()
	return posted{resp.StatusCode, resp.Header.Get("Location"), resp.Cookies()}
}

// visit opens a page with a session, if it is not nil.
func (r *rig) visit(method, path string, session *http.Cookie) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+strings.Replace(path, "{$}", "", 1), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if session != nil {
		req.AddCookie(session)
	}
	return r.send(req)
}

func TestSignIn(t *testing.T) {
	r := newRig(t)
	secret, _ := r.token(roster.Read)
	for _, c := range []struct {
		token, next string
		header      http.Header
		status      int
		location    string
	}{
		{secret, "/builds?repository=shop", nil, 303, "/builds?repository=shop"},
		{" " + secret + "\n", "", nil, 303, "/"},
		{secret, "https://evil.example/", nil, 303, "/"},
		{secret, "//evil.example/", nil, 303, "/"},
		{secret, `/\evil.example/`, nil, 303, "/"},
		{secret, "javascript:alert(1)", nil, 303, "/"},
		{secret, "/", http.Header{"Sec-Fetch-Site": {"same-origin"}}, 303, "/"},
		{secret, "/", http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403, ""},
		{secret, "/", http.Header{"Origin": {"https://evil.example"}}, 403, ""},
		{"vla_nonsense", "/", nil, 403, ""},
		{"", "/", nil, 403, ""},
	} {
		got := r.post("/login", url.Values{"token": {c.token}, "next": {c.next}}, c.header)
		if got.status != c.status || got.location != c.location || len(got.cookies) > 0 != (c.status == 303) {
			t.Errorf("next %q, %v: %d to %q with %d cookies; want %d to %q", c.next, c.header, got.status, got.location, len(got.cookies), c.status, c.location)
		}
	}
	if got := r.post("/logout", nil, http.Header{"Sec-Fetch-Site": {"cross-site"}}); got.status != 403 || len(got.cookies) > 0 {
		t.Errorf("another origin signs out: %d", got.status)
	}
	if got := r.post("/logout", nil, nil); got.status != 303 || len(got.cookies) != 1 || got.cookies[0].MaxAge >= 0 {
		t.Errorf("sign out: %d %v", got.status, got.cookies)
	}
}

// Nobody may try tokens for ever.
func TestSignInIsLimited(t *testing.T) {
	r := newRig(t)
	limited := false
	for range 30 {
		limited = limited || r.post("/login", url.Values{"token": {"vla_x"}}, nil).status == http.StatusTooManyRequests
	}
	if !limited {
		t.Error("tries are not limited")
	}
}

// A session is for pages, a token for the API; neither stands in for the other. It
// is nobody's who changes a letter of it, and over in time.
func TestSessions(t *testing.T) {
	r := newRig(t)
	secret, made := r.token(roster.Read)
	session := r.signIn(secret)
	if status, _ := r.visit("GET", "/", session); status != 200 {
		t.Fatalf("signed in: %d", status)
	}
	if status, _ := r.visit("GET", api.PathSelf, session); status != http.StatusUnauthorized {
		t.Errorf("the API with a session: %d", status)
	}
	if status, _ := r.ask("GET", "/", secret, ""); status != http.StatusSeeOther {
		t.Errorf("a page with a token: %d", status)
	}
	if status, _ := r.ask("GET", api.PathSelf, session.Value, ""); status != http.StatusUnauthorized {
		t.Errorf("the API with a session as its token: %d", status)
	}
	if strings.Contains(session.Value, secret) || strings.Contains(secret, session.Value) {
		t.Error("the session tells the token")
	}
	other := *session
	for i := range session.Value {
		other.Value = session.Value[:i] + string(session.Value[i]^1) + session.Value[i+1:]
		if status, _ := r.visit("GET", "/", &other); status == 200 {
			t.Errorf("letter %d of the session can be changed", i)
		}
	}
	another := web.Sessions{Key: []byte("of another server")}
	front := r.front.Sessions
	r.front.Sessions = &another
	if status, _ := r.visit("GET", "/", session); status == 200 {
		t.Error("a session of another server is taken")
	}
	r.front.Sessions = front
	r.now = func() time.Time { return noon.Add(31 * 24 * time.Hour) }
	if status, _ := r.visit("GET", "/", session); status == 200 {
		t.Error("the session lasts for ever")
	}
	r.now = func() time.Time { return noon }
	if err := r.front.Roster.Withdraw(t.Context(), made.ID, "ann"); err != nil {
		t.Fatal(err)
	}
	if status, _ := r.visit("GET", "/", session); status == 200 {
		t.Error("the session outlives its token")
	}
}

func TestAssets(t *testing.T) {
	r := newRig(t)
	for name, kind := range map[string]string{"page.css": "text/css", "live.js": "text/javascript", "icon.svg": "image/svg+xml", "nosuch.js": ""} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/assets/"+name, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := r.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		got, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
		if kind != "" && (got != kind || resp.Header.Get("X-Content-Type-Options") != "nosniff") || kind == "" && resp.StatusCode != 404 {
			t.Errorf("%s: %d, %s", name, resp.StatusCode, got)
		}
	}
}
