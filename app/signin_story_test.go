package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/forge/forgetest"
)

// A browser is one that keeps cookies, and belongs to somebody who looks at a server.
type browser struct {
	t    *testing.T
	url  string
	http *http.Client
}

func newBrowser(t *testing.T, url string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, url: url, http: &http.Client{Jar: jar}}
}

// get opens a path, and returns where that led to.
func (b *browser) get(path string) (status int, at, text string) {
	b.t.Helper()
	return b.send(http.MethodGet, path, "")
}

func (b *browser) send(method, path, body string) (status int, at, text string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(atHome(b.t), method, b.url+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	resp, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, resp.Request.URL.RequestURI(), string(all)
}

// signsIn goes to a page, is asked to sign in, and does as the person whom the forge
// has before the browser.
func (b *browser) signsIn(forge, next string) (status int, at, text string) {
	b.t.Helper()
	_, at, text = b.get(next)
	way := "/login/" + forge + "?" + url.Values{"next": {next}}.Encode()
	if !strings.HasPrefix(at, "/login?") || !strings.Contains(strings.ToLower(text), strings.ToLower(`href="`+way+`"`)) {
		b.t.Fatalf("%s leads to %s, which does not lead to %s:\n%s", next, at, way, text)
	}
	return b.get(way)
}

// expect fails the test unless a request is answered with a status and, in it, a text.
func (b *browser) expect(what, method, path, body string, status int, says string) {
	b.t.Helper()
	got, at, text := b.send(method, path, body)
	if got != status || !strings.Contains(text, says) {
		b.t.Errorf("%s: %s leads to %s: %d %s; want %d, %q", what, path, at, got, text, status, says)
	}
}

// openTown is a town whose people sign in. Nobody else sees its repository.
func openTown(t *testing.T, config ...string) *town {
	t.Helper()
	w := foundTown(t, forgetest.GitHubOptions{})
	w.hub.AllowCallback(w.gateway.url() + "/login/github/callback")
	w.repo.Privatize()
	w.in = w.hub.Install(t, "octo", w.repo)
	w.settle(config...)
	a := w.hub.App(t)
	w.keep("client", a.ClientSecret)
	w.args = append(w.args, "--url", w.gateway.url(), "--github-oauth-id", a.ClientID, "--github-oauth-secret", filepath.Join(w.home, "client"))
	w.serve()
	w.wait("serves octo/world", func() bool { return strings.Contains(w.said.text(), "repository is served") })
	return w
}

// Somebody signs in with GitHub, reads what they may read there, does what they may do
// there, and does it no more when they may not.
func TestSignInWithGitHub(t *testing.T) {
	w := openTown(t)
	w.builder("b1", "--executor", "host")
	w.is(w.push("main", files{"a": ""}), "success")
	w.repo.Role("ann", "read")
	ann := newBrowser(t, w.url)

	w.hub.Visit("")
	if status, _, text := ann.signsIn("github", "/builds?repository=octo%2Fworld"); status != http.StatusForbidden || !strings.Contains(text, "did not say who you are") {
		t.Errorf("who refuses at GitHub: %d %s", status, text)
	}
	w.hub.Visit("ann")
	status, at, text := ann.signsIn("github", "/builds?repository=octo%2Fworld")
	if status != http.StatusOK || at != "/builds?repository=octo%2Fworld" || !strings.Contains(text, "succeeded") {
		t.Fatalf("signed in: %d at %s:\n%s", status, at, text)
	}
	ann.expect("a reader reads", "GET", "/", "", 200, "octo/world")
	ann.expect("a reader reads by the API", "GET", api.PathBuilds+"?repository=octo/world", "", 200, `"state":"succeeded"`)
	ann.expect("a reader acts", "POST", api.PathStart+"?repository=octo/world", `{}`, 403, "may not write to octo/world")
	ann.expect("a reader administrates", "GET", "/builders", "", 403, "does not name ann")

	w.repo.Role("ann", "write")
	status, _, text = ann.send("POST", api.PathStart+"?repository=octo/world", `{"actor":"root"}`)
	var made api.Accepted
	if err := json.Unmarshal([]byte(text), &made); err != nil || status != http.StatusAccepted {
		t.Fatalf("a writer acts: %d %s", status, text)
	}
	follow := api.PathTrigger + made.Trigger + "/follow?repository=octo/world"
	ann.expect("it is recorded who asked", "GET", follow, "", 200, fmt.Sprintf("ann (github %d)", w.hub.Account("ann").ID))
	w.repo.Role("ann", "read")
	ann.expect("who may act no more", "POST", api.PathStart+"?repository=octo/world", `{}`, 403, "may not write")

	if n := w.hub.PeopleTokens(); n != 1 {
		t.Errorf("%d tokens of people are good; want one", n)
	}
	if _, at, _ := ann.send("POST", "/logout", ""); at != "/login" || w.hub.PeopleTokens() != 0 {
		t.Errorf("signing out leads to %s, with %d tokens left", at, w.hub.PeopleTokens())
	}
	w.repo.Role("ann", "")
	if status, _, text := ann.signsIn("github", "/builds?repository=octo%2Fworld"); status != http.StatusNotFound || !strings.Contains(text, "there is no repository") {
		t.Errorf("who may read no more: %d %s", status, text)
	}
	ann.expect("who may read no more has a list", "GET", api.PathRepositories, "", 200, "[]")
}

// A server that starts anew knows people again, and those who run it by their number.
// When their forge does not know them any more, neither does the server.
func TestSessionsOutliveServer(t *testing.T) {
	w := openTown(t)
	chief := newBrowser(t, w.url)
	w.hub.Visit("chief")
	if status, at, text := chief.signsIn("github", "/"); status != http.StatusOK || at != "/" || strings.Contains(text, "octo/world") {
		t.Fatalf("signed in: %d at %s:\n%s", status, at, text)
	}
	chief.expect("somebody administrates", "GET", "/builders", "", 403, "does not name chief")
	w.stop()
	w.args = append(w.args, "--admins", "github/"+strconv.FormatInt(w.hub.Account("chief").ID, 10))
	w.serve()
	chief.expect("who runs the server", "GET", "/builders", "", 200, "Builders")
	chief.expect("who runs the server, and may not read", "GET", "/builds?repository=octo%2Fworld", "", 404, "there is no repository")
	w.hub.RevokePeople("chief")
	if _, at, _ := chief.get("/builders"); !strings.HasPrefix(at, "/login?") {
		t.Errorf("with a token that GitHub does not know any more, the builders are at %s", at)
	}
}

// What is public on the forge everybody sees, if the server shall show it.
func TestPublicPages(t *testing.T) {
	w := openTown(t, "public: true")
	stranger := newBrowser(t, w.url)
	if _, at, _ := stranger.get("/"); !strings.HasPrefix(at, "/login?") {
		t.Errorf("with nothing public, a stranger is led to %s", at)
	}
	w.repo.Publicize()
	w.quiet()
	stranger.expect("a stranger", "GET", "/builds?repository=octo%2Fworld", "", 200, "Sign in")
	stranger.expect("a stranger acts", "POST", api.PathStart+"?repository=octo/world", `{}`, 401, "token")
	w.repo.Privatize()
	w.quiet()
	if _, at, _ := stranger.get("/builds?repository=octo%2Fworld"); !strings.HasPrefix(at, "/login?") {
		t.Errorf("what is private again is at %s for strangers", at)
	}
}

// Somebody signs in with GitLab, reads what they may read there, does what they may do
// there, and does it no more when they may not.
func TestSignInWithGitLab(t *testing.T) {
	w := foundVillage(t, forgetest.GitLabOptions{})
	a := w.lab.Application(w.road.URL+"/login/gitlab/callback", "read_api")
	w.project.Privatize()
	w.project.Member("bob", 20, time.Time{})
	w.settle()
	w.keep("client", a.Secret)
	w.args = append(w.args, "--gitlab-oauth-id", a.ID, "--gitlab-oauth-secret", filepath.Join(w.home, "client"))
	w.serve()
	w.connect("group/world")
	const builds, start = "/builds?repository=group%2Fworld", api.PathStart + "?repository=group/world"

	w.lab.Visit("bob")
	bob := newBrowser(t, w.url)
	if status, at, text := bob.signsIn("gitlab", builds); status != http.StatusOK || at != builds {
		t.Fatalf("signed in: %d at %s:\n%s", status, at, text)
	}
	bob.expect("a reader reads", "GET", "/", "", 200, "group/world")
	bob.expect("a reader acts", "POST", start, `{}`, 403, "may not write to group/world")
	w.project.Member("bob", 30, time.Time{})
	bob.expect("a writer acts", "POST", start, `{}`, 202, "trigger")
	w.project.Member("bob", 20, time.Time{})
	bob.expect("who may act no more", "POST", start, `{}`, 403, "may not write")
	if _, at, _ := bob.send("POST", "/logout", ""); at != "/login" || w.lab.PeopleTokens() != 0 {
		t.Errorf("signing out leads to %s, with %d tokens left", at, w.lab.PeopleTokens())
	}
	w.project.Member("bob", 10, time.Time{}) // a guest sees the project, and not its code
	if status, _, text := bob.signsIn("gitlab", builds); status != http.StatusNotFound || !strings.Contains(text, "there is no repository") {
		t.Errorf("who may read no more: %d %s", status, text)
	}
	w.lab.Block("bob")
	bob.expect("who is blocked acts", "POST", start, `{}`, 404, "there is no repository")
}
