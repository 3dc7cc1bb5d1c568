package app

import (
	"bytes"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/architect"
)

// The whole way to a GitHub App: the address that is printed, the form, GitHub's
// page, the way back, and a state from which the next start takes the App.
func TestSetupMakesApp(t *testing.T) {
	hub, err := forgetest.NewGitHub(forgetest.GitHubOptions{Dir: t.TempDir(), NoApp: true})
	if err != nil {
		t.Fatal(err)
	}
	defer hub.Close()
	said := &bytes.Buffer{}
	c := &cli{Streams: Streams{Out: io.Discard, Err: said}, now: time.Now, env: map[string]string{"HOME": t.TempDir()}}
	state := t.TempDir()
	conf := &serverConfig{State: state, Listen: "127.0.0.1:0"}
	conf.GitHub.URL = hub.URL()
	s := &service{c: c, log: silent(), unneeded: make(chan struct{})}
	s.options = serviceOptions{builder: true, configured: conf}
	s.front = &front{web: &web.Front{Log: silent()}, state: state}
	s.architect = architect.New(nil, s.log, c.clock)
	if s.forges, err = c.openForges(t.Context(), s, conf, nil); err != nil {
		t.Fatal(err)
	}
	defer s.forges.close()
	l, err := listenPublic(t.Context(), conf, s)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: s.front.web.Handler(), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }() // ends with Close
	defer server.Close()
	conf.URL = "http://" + l.Addr().String()
	c.offerSetup(s, conf)
	printed := regexp.MustCompile(`http://\S+token=\w+`).FindString(said.String())
	if printed == "" || strings.Count(said.String(), "\n") != 1 {
		t.Fatalf("printed: %s", said)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	read := func(get func() (*http.Response, error)) string {
		t.Helper()
		resp, err := get()
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%d %v\n%s", resp.StatusCode, err, text)
		}
		return string(text)
	}
	page := read(func() (*http.Response, error) { return browser.Get(printed) })
	form := regexp.MustCompile(`action="(http[^"]+)".*name="manifest" value="([^"]+)"`).FindStringSubmatch(page)
	if form == nil {
		t.Fatalf("the page has no form:\n%s", page)
	}
	page = read(func() (*http.Response, error) {
		return browser.PostForm(html.UnescapeString(form[1]), url.Values{"manifest": {html.UnescapeString(form[2])}})
	})
	if !strings.Contains(page, "/installations/new") {
		t.Errorf("the last page:\n%s", page)
	}
	if v := hub.Violations(); len(v) > 0 {
		t.Errorf("GitHub objects: %v", v)
	}
	path := filepath.Join(state, appFile)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%s: %v, %v", appFile, info, err)
	}
	app, err := c.appOf(conf)
	if err != nil || app == nil {
		t.Fatalf("the next start has the App %v, %v", app, err)
	}
	made := hub.App(t)
	if app.ID != made.ID || string(app.Key) != made.PEM() || app.Secrets[0] != hub.HookSecret() {
		t.Errorf("the App %v is not the one that GitHub made", app)
	}
	select {
	case <-s.unneeded:
	default:
		t.Error("the builder of this process goes on next to a forge, although nobody asked for it")
	}
	for _, secret := range []string{made.PEM(), hub.HookSecret()} {
		if strings.Contains(page, secret) || strings.Contains(said.String(), secret) {
			t.Error("a secret was shown")
		}
	}
	conf.GitHub.URL = "https://github.com"
	if _, err := c.appOf(conf); err == nil || !strings.Contains(err.Error(), "github.url") {
		t.Errorf("with another GitHub: %v", err)
	}
	conf.GitHub.URL = hub.URL()
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.appOf(conf); err == nil || !strings.Contains(err.Error(), "has no GitHub App") {
		t.Errorf("with a file that says nothing: %v", err)
	}
}
