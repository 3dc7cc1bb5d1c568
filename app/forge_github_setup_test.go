package app_test

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
)

var (
	setupAddress = regexp.MustCompile(`open (http\S+/setup/github\?token=\S+)`)
	formAction   = regexp.MustCompile(`<form method="post" action="([^"]+)"><input type="hidden" name="manifest" value="([^"]+)">`)
	installLink  = regexp.MustCompile(`<a href="([^"]+/installations/new)"`)
)

// From a server without an App to the first build: its page makes the App, somebody
// installs it, the next push is built, and people sign in. Nothing is started anew.
func TestGitHubSetup(t *testing.T) {
	w := foundTown(t, forgetest.GitHubOptions{NoApp: true})
	own, err := forgetest.NewBare(filepath.Join(w.home, "own.git"), "main")
	if err != nil {
		t.Fatal(err)
	}
	w.keep("server.yml", fmt.Sprintf("state: state\nlisten: 127.0.0.1:0\nurl: %s\ngithub: {url: %q}\nrepositories: [{path: %q}]\nbuilder: {embedded: false}\n",
		w.gateway.url(), w.hub.URL(), own.Dir()))
	w.args = []string{"serve", "--config", filepath.Join(w.home, "server.yml")}
	w.serve()
	w.builder("b1", "--executor", "host")

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	w.wait("tells where the page is", func() bool { return setupAddress.MatchString(w.said.text()) })
	page := answer(t, func() (*http.Response, error) { return browser.Get(setupAddress.FindStringSubmatch(w.said.text())[1]) })
	form := formAction.FindStringSubmatch(page)
	if form == nil {
		t.Fatalf("the page has no form for GitHub:\n%s", page)
	}
	page = answer(t, func() (*http.Response, error) {
		return browser.PostForm(html.UnescapeString(form[1]), url.Values{"manifest": {html.UnescapeString(form[2])}})
	})
	if !installLink.MatchString(page) {
		t.Fatalf("the page does not say where to install the App:\n%s", page)
	}
	w.in = w.hub.Install(t, "octo", w.repo)
	w.serves(w.repo)
	w.is(w.push("main", files{"a": ""}), "success")

	w.hub.Visit("octo")
	if status, at, text := newBrowser(t, w.url).signsIn("github", "/"); status != http.StatusOK || at != "/" || !strings.Contains(text, "octo/world") {
		t.Errorf("somebody signs in with the new App: %d at %s\n%s", status, at, text)
	}
}

// answer reads the page that a browser gets.
func answer(t *testing.T, get func() (*http.Response, error)) string {
	t.Helper()
	resp, err := get()
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v: %s", resp.Request.URL.Path, resp.Status, err, text)
	}
	return string(text)
}

// A pipeline that asks for it has a check for each task, under the same names.
func TestGitHubTasks(t *testing.T) {
	w := newTown(t, forgetest.GitHubOptions{})
	w.builder("b1", "--executor", "host")
	f := w.pipeline()
	f[".velocityci/pipelines/default.yml"] = "checks: tasks\n" + f[".velocityci/pipelines/default.yml"]
	f["broken"] = ""
	sha := w.push("main", f)
	w.is(sha, "failure")
	w.check(sha, defaultCheck+" / unit", concluded("failure"))
	w.check(sha, defaultCheck+" / pack", concluded("cancelled"))
	sha = w.repo.Push(t, "main", forgetest.Change{Author: "octo", Remove: []string{"broken"}})
	for _, task := range []string{"", " / unit", " / pack"} {
		w.check(sha, defaultCheck+task, concluded("success"))
	}
}
