package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/storage/roster"
)

// Whoever a forge names is signed in, and goes on within this server; nobody else is.
func TestSignInWithForge(t *testing.T) {
	r := newRig(t)
	r.crowd.may("ann", "shop", roster.Read)
	callback := func(state, code string) string {
		return "/login/github/callback?" + url.Values{"state": {state}, "code": {code}}.Encode()
	}
	for next, want := range map[string]string{
		"/builds?repository=shop": "/builds?repository=shop", "https://evil.example/": "/", "//evil.example/": "/", `/\evil.example`: "/", "": "/",
	} {
		state, cookie := r.leaves(next)
		if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || strings.Contains(cookie.Value, state) {
			t.Errorf("the state is kept as %+v", cookie)
		}
		got := r.visits(callback(state, "ann"), cookie)
		if got.status != http.StatusSeeOther || got.location != want || sessionIn(got.cookies) == nil {
			t.Errorf("next %q: %d to %q with %v; want %q", next, got.status, got.location, got.cookies, want)
		}
		for _, c := range got.cookies {
			if c.Name == cookie.Name && c.MaxAge >= 0 {
				t.Errorf("the state can be used again: %+v", c)
			}
		}
	}
	state, cookie := r.leaves("/")
	otherState, otherCookie := r.leaves("/")
	forged := *cookie
	forged.Value = strings.Repeat("A", len(cookie.Value))
	session := *r.comes("ann")
	session.Name = cookie.Name
	for what, c := range map[string]struct {
		path   string
		cookie *http.Cookie
		status int
	}{
		"without a cookie":            {callback(state, "ann"), nil, 403},
		"with another's cookie":       {callback(state, "ann"), otherCookie, 403},
		"with another's state":        {callback(otherState, "ann"), cookie, 403},
		"without a state":             {callback("", "ann"), cookie, 403},
		"with a forged cookie":        {callback(state, "ann"), &forged, 403},
		"with a session as cookie":    {callback(state, "ann"), &session, 403},
		"with a code of nobody":       {callback(state, "eve"), cookie, 403},
		"without a code":              {callback(state, ""), cookie, 403},
		"at a forge that there's not": {strings.Replace(callback(state, "ann"), "github", "svn", 1), cookie, 404},
		"at another forge":            {strings.Replace(callback(state, "ann"), "github", "gitlab", 1), cookie, 403},
	} {
		var got posted
		if c.cookie == nil {
			got = r.visits(c.path)
		} else {
			got = r.visits(c.path, c.cookie)
		}
		if got.status != c.status || sessionIn(got.cookies) != nil {
			t.Errorf("%s: %d with %v; want %d and no session", what, got.status, got.cookies, c.status)
		}
	}
	r.crowd.change(func(c *crowd) { c.silent = true })
	if got := r.visits(callback(state, "ann"), cookie); got.status != http.StatusBadGateway {
		t.Errorf("a forge that does not answer: %d", got.status)
	}
	r.crowd.change(func(c *crowd) { c.silent = false })
	r.now = func() time.Time { return noon.Add(11 * time.Minute) }
	if got := r.visits(callback(state, "ann"), cookie); got.status != http.StatusForbidden {
		t.Errorf("eleven minutes later: %d", got.status)
	}
}

// Each sign-in begins a session of its own, which does not tell the forge's token, is
// nobody's who changes it, and ends with the token and in a day.
func TestSessionsOfPeople(t *testing.T) {
	r := newRig(t)
	r.crowd.may("ann", "shop", roster.Read)
	first, second := r.comes("ann"), r.comes("ann")
	if first.Value == second.Value || strings.Contains(first.Value, "token of ann") {
		t.Errorf("two sessions are %q and %q", first.Value, second.Value)
	}
	other := *first
	for i := range first.Value {
		other.Value = first.Value[:i] + string(first.Value[i]^1) + first.Value[i+1:]
		if got := r.visits("/", &other); got.status == http.StatusOK {
			t.Errorf("letter %d of the session can be changed", i)
		}
	}
	r.crowd.change(func(c *crowd) { c.ends = noon.Add(time.Hour) })
	short := r.comes("ann")
	for after, want := range map[time.Duration][2]int{0: {200, 200}, time.Hour: {303, 200}, 24 * time.Hour: {303, 303}} {
		r.now = func() time.Time { return noon.Add(after) }
		if got := [2]int{r.visits("/", short).status, r.visits("/", first).status}; got != want {
			t.Errorf("after %s the sessions are answered %v; want %v", after, got, want)
		}
	}
	r.now = func() time.Time { return noon }
	r.front.People = nil
	if got := r.visits("/", first); got.status != http.StatusSeeOther {
		t.Errorf("without the forge the session is answered %d", got.status)
	}
}

// Who signs out has signed out everywhere, and the forge gets its token back.
func TestPeopleSignOut(t *testing.T) {
	r := newRig(t)
	r.crowd.may("ann", "shop", roster.Read)
	session := r.comes("ann")
	header := http.Header{"Cookie": {session.Name + "=" + session.Value}}
	header.Set("Sec-Fetch-Site", "cross-site")
	if got := r.post("/logout", nil, header); got.status != http.StatusForbidden || r.visits("/", session).status != http.StatusOK {
		t.Errorf("another origin signs out: %d", got.status)
	}
	header.Set("Sec-Fetch-Site", "same-origin")
	if got := r.post("/logout", nil, header); got.status != http.StatusSeeOther {
		t.Errorf("sign out: %d", got.status)
	}
	if got := r.visits("/", session); got.status != http.StatusSeeOther {
		t.Errorf("a copy of the cookie is answered %d", got.status)
	}
	r.crowd.change(func(c *crowd) {
		if fmt.Sprint(c.given) != "[token of ann]" {
			t.Errorf("given back: %q", c.given)
		}
	})
}

// as asks as the person of a session.
func (r *rig) as(session *http.Cookie, method, path, body string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.AddCookie(session)
	return r.send(req)
}

// What somebody may not read is answered as what is not there, also while the forge
// does not answer.
func TestPeopleSeeNothingElse(t *testing.T) {
	r := newRig(t)
	r.crowd.may("ann", "bank", roster.Act)
	session := r.comes("ann")
	for _, silent := range []bool{false, true} {
		r.crowd.change(func(c *crowd) { c.silent = silent })
		for hidden, absent := range map[string]string{
			"/builds?repository=shop":                       "/builds?repository=void",
			"/builds/aaaaaa-7":                              "/builds/cccccc-7",
			"/builds/aaaaaa-7/log/s0t0":                     "/builds/cccccc-7/log/s0t0",
			"/builds/aaaaaa-7/live":                         "/builds/cccccc-7/live",
			api.PathBuilds + "?repository=shop":             api.PathBuilds + "?repository=void",
			api.PathBuild + "aaaaaa-7":                      api.PathBuild + "cccccc-7",
			api.PathBuild + "7?repository=shop":             api.PathBuild + "7?repository=void",
			api.PathBuild + "aaaaaa-7/follow":               api.PathBuild + "cccccc-7/follow",
			"POST " + api.PathCancel + "?build=aaaaaa-7":    "POST " + api.PathCancel + "?build=cccccc-7",
			"POST " + api.PathStart + "?repository=shop":    "POST " + api.PathStart + "?repository=void",
			"POST " + api.PathApprove + "?repository=shop":  "POST " + api.PathApprove + "?repository=void",
			"POST " + api.PathRerun + "?build=aaaaaa-7&x=1": "POST " + api.PathRerun + "?build=cccccc-7&x=1",
		} {
			ask := func(of string) (int, string) {
				method, path, ok := strings.Cut(of, " ")
				if !ok {
					method, path = http.MethodGet, of
				}
				status, body := r.as(session, method, path, "{}")
				return status, strings.NewReplacer("shop", "NAME", "void", "NAME", "aaaaaa", "ID", "cccccc", "ID").Replace(body)
			}
			status, body := ask(hidden)
			wantStatus, wantBody := ask(absent)
			if status != wantStatus || body != wantBody || status != map[bool]int{false: 404, true: 503}[silent] {
				t.Errorf("%s: %d %s; what is not there: %d %s", hidden, status, body, wantStatus, wantBody)
			}
		}
	}
	r.crowd.change(func(c *crowd) { c.silent = false })
	for path, want := range map[string]string{"/": ">bank<", api.PathRepositories: `["bank"]`, "/builds/bbbbbb-7": "bbbbbb-7"} {
		if status, body := r.as(session, "GET", path, ""); status != 200 || !strings.Contains(body, want) || strings.Contains(body, "shop") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}

// What somebody does is recorded as theirs, and asked of the forge each time.
func TestPeopleAct(t *testing.T) {
	r := newRig(t)
	r.crowd.may("ann", "shop", roster.Act)
	session := r.comes("ann")
	const path = api.PathStart + "?repository=shop"
	if status, body := r.as(session, "POST", path, `{"actor":"root"}`); status != http.StatusAccepted {
		t.Fatal(status, body)
	}
	r.crowd.may("ann", "shop", roster.Read)
	if status, body := r.as(session, "POST", path, `{}`); status != http.StatusForbidden || !strings.Contains(body, "may not write to shop") {
		t.Errorf("without the right: %d %s", status, body)
	}
	if asked := r.clerks["shop"].asked; len(asked) != 1 || asked[0].Actor != "ann (github 1)" {
		t.Errorf("asked %+v; want one by ann", asked)
	}
	if status, body := r.as(session, "GET", api.PathSelf, ""); status != 200 || !strings.Contains(body, `"ann (github 1)"`) || strings.Contains(body, "token of") {
		t.Errorf("who they are: %d %s", status, body)
	}
}

// Who may not read any more follows no more, neither does who signs out.
func TestPeopleFollowNoMore(t *testing.T) {
	for what, end := range map[string]func(r *rig, session *http.Cookie){
		"loses the right": func(r *rig, _ *http.Cookie) { r.crowd.may("ann", "shop", "") },
		"signs out": func(r *rig, session *http.Cookie) {
			r.post("/logout", nil, http.Header{"Cookie": {session.Name + "=" + session.Value}})
		},
		"is not known to a forge that is silent": func(r *rig, _ *http.Cookie) { r.crowd.change(func(c *crowd) { c.silent = true }) },
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t)
			r.front.Recheck = time.Millisecond
			r.clerks["shop"].reading = make(chan struct{})
			r.crowd.may("ann", "shop", roster.Read)
			session := r.comes("ann")
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+api.PathBuild+"7/follow?repository=shop", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.AddCookie(session)
			over := make(chan string, 1)
			go func() {
				resp, err := r.http.Do(req)
				if err != nil {
					over <- err.Error()
					return
				}
				defer resp.Body.Close()
				text, _ := io.ReadAll(resp.Body)
				over <- string(text)
			}()
			<-r.clerks["shop"].reading // it is open, and stays so
			end(r, session)
			if text := <-over; !strings.Contains(text, `"build"`) || strings.Contains(text, `"end"`) {
				t.Errorf("the stream was %q; want a build and no end", text)
			}
		})
	}
}

// Everybody sees what is public, and nothing else; whether there is something else is
// not told.
func TestStrangers(t *testing.T) {
	r := newRig(t)
	if got := r.visits("/"); got.status != http.StatusSeeOther {
		t.Errorf("with nothing public: %d", got.status)
	}
	r.crowd.change(func(c *crowd) { c.public = []string{"shop"} })
	for path, want := range map[string]int{
		"/": 200, "/queue": 200, "/builds?repository=shop": 200, "/builds/aaaaaa-7": 200, "/builds/aaaaaa-7/log/s0t0": 200, "/builds/aaaaaa-7/live": 200,
		"/builds?repository=bank": 303, "/builds?repository=void": 303, "/builds/bbbbbb-7": 303, "/builds/cccccc-7": 303, "/builders": 303,
		"/builds/bbbbbb-7/live": 401,
	} {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, r.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		status, body := r.send(req)
		if status != want || strings.Contains(body, "bank</a>") {
			t.Errorf("%s: %d; want %d", path, status, want)
		}
		if status == 200 && !strings.HasSuffix(path, "/live") && !strings.Contains(body, `href="/login?next=`) {
			t.Errorf("%s does not say where to sign in:\n%s", path, body)
		}
	}
	for _, c := range []string{"GET " + api.PathBuilds, "GET " + api.PathSelf, "POST " + api.PathStart, "GET " + api.PathBuilders} {
		method, path, _ := strings.Cut(c, " ")
		if status, _ := r.ask(method, path+"?repository=shop", "", "{}"); status != http.StatusUnauthorized {
			t.Errorf("%s: %d", c, status)
		}
	}
}

// A person never prints as their token.
func TestPersonHidesToken(t *testing.T) {
	p := web.Person{Forge: "github", ID: 7, Login: "ann", Token: "secret"}
	text, err := json.Marshal(map[string]any{"p": p, "at": &p})
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []string{fmt.Sprintf("%v %+v %#v %s %d", p, &p, p, p, p), string(text)} {
		if strings.Contains(got, "secret") || !strings.Contains(got, "ann (github 7)") {
			t.Errorf("it prints as %s", got)
		}
	}
}
