package github

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/forge/forgetest"
	"github.com/velocity-ci/velocity/builder/require"
)

func TestManifestAsksForTheTableAndNoMore(t *testing.T) {
	p := Proposal{Name: "Velocity at example.com", Page: "https://ci.example.com", Hook: "https://ci.example.com/hooks/github",
		Redirect: "https://ci.example.com/setup/github/made", Login: "https://ci.example.com/login/github/callback"}
	var got map[string]any
	if err := json.Unmarshal(p.Manifest(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"name": "Velocity at example.com", "url": "https://ci.example.com", "public": false,
		"hook_attributes": map[string]any{"url": "https://ci.example.com/hooks/github", "active": true},
		"redirect_url":    "https://ci.example.com/setup/github/made",
		"callback_urls":   []any{"https://ci.example.com/login/github/callback"},
		"description":     "Builds what is pushed, and shows how it went.",
		"default_events":  []any{"push", "pull_request", "repository", "merge_group", "issue_comment"},
		"default_permissions": map[string]any{
			"metadata": "read", "contents": "read", "checks": "write", "pull_requests": "read", "statuses": "write",
			"merge_queues": "read", "issues": "read",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("manifest (-want +got):\n%s", diff)
	}
	p.Hook = ""
	if text := string(p.Manifest()); !strings.Contains(text, `"hook_attributes":{"url":"https://ci.example.com","active":false}`) {
		t.Errorf("manifest of a server that cannot be reached: %s", text)
	}
}

func TestAddresses(t *testing.T) {
	for web, want := range map[string]string{
		"https://github.com":          "https://api.github.com/",
		"https://github.com/":         "https://api.github.com/",
		"https://git.example.com":     "https://git.example.com/api/v3/",
		"http://127.0.0.1:8080/":      "http://127.0.0.1:8080/api/v3/",
		"ssh://git.example.com":       "",
		"https://u:p@git.example.com": "",
		"git.example.com":             "",
	} {
		if got, err := APIOf(web); got != want || (err == nil) != (want != "") {
			t.Errorf("APIOf(%q) = %q, %v; want %q", web, got, err, want)
		}
	}
	for organisation, want := range map[string]string{
		"":       "https://github.com/settings/apps/new?state=a%26b",
		"acme-1": "https://github.com/organizations/acme-1/settings/apps/new?state=a%26b",
		"a/../b": "",
	} {
		if got, err := NewAppPage("https://github.com", organisation, "a&b"); got != want || (err == nil) != (want != "") {
			t.Errorf("NewAppPage of %q = %q, %v; want %q", organisation, got, err, want)
		}
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	r := Registration{ID: 7, Slug: "velocity", ClientSecret: "hidden", WebhookSecret: "hidden", Key: "hidden"}
	c := forge.NewCredential("x-access-token", "hidden", nil)
	inner := struct{ c forge.Credential }{c}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
		if text := fmt.Sprintf(verb+verb+verb+verb+verb+verb, r, &r, c, &c, inner, &inner); strings.Contains(text, "hidden") {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

// The App's key is not told by whatever prints what holds it.
func TestKeyIsNotPrinted(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)})
	a, err := Open(Options{AppID: 1, Key: text, Transport: tripFunc(nil), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	bytes := strings.Trim(fmt.Sprintf("%d", text[:8]), "[]")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		printed := fmt.Sprintf(verb+verb, a, struct{ a *App }{a})
		for _, form := range []string{"RSA PRIVATE", bytes, "0x2d, 0x2d", private.D.String(), private.D.Text(16)} {
			if strings.Contains(printed, form) {
				t.Errorf("%s prints %.40s", verb, form)
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, o := range map[string]Options{
		"no transport": {AppID: 1},
		"no key":       {AppID: 1, Transport: tripFunc(nil)},
		"an address":   {API: "https://u:hidden@x/", AppID: 1, Transport: tripFunc(nil)},
	} {
		if a, err := Open(o); err == nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: Open = %v, %v", name, a, err)
		}
	}
}

func TestManifestFlow(t *testing.T) {
	hub, err := forgetest.NewGitHub(forgetest.GitHubOptions{Dir: t.TempDir(), Data: require.ForgeData(unvalidated{t}), NoApp: true})
	if err != nil {
		t.Fatal(err)
	}
	defer hub.Close()
	p := Proposal{Name: strings.Repeat("Velocity ", 9), Page: "https://ci.example.com", Redirect: "https://ci.example.com/made"}
	page, err := NewAppPage(hub.URL(), "", "s")
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := browser.PostForm(page, url.Values{"manifest": {string(p.Manifest())}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	back, err := resp.Location()
	if err != nil || back.Query().Get("state") != "s" {
		t.Fatalf("%s, %v", back, err)
	}
	given := back.Query().Get("code")
	api, err := APIOf(hub.URL())
	if err != nil {
		t.Fatal(err)
	}
	o := Options{API: api, Transport: &http.Transport{}, Now: hub.Clock.Now}
	r, err := Convert(t.Context(), o, given)
	if err != nil {
		t.Fatal(err)
	}
	if known := hub.App(t); r.ID != known.ID || r.WebhookSecret != hub.HookSecret() || r.Key != known.PEM() || r.Slug == "" || r.Page == "" {
		t.Errorf("App %d: %+v", r.ID, r)
	}
	_, err = Convert(t.Context(), o, given)
	if !errors.Is(err, forge.ErrGone) || strings.Contains(err.Error(), given) {
		t.Errorf("the code again: %v", err)
	}
	if _, err := Convert(t.Context(), o, strings.Repeat("x", maxCode+1)); !errors.Is(err, forge.ErrInvalid) {
		t.Errorf("a code that is too long: %v", err)
	}
	if _, err := Convert(t.Context(), o, "../../x"); !errors.Is(err, forge.ErrInvalid) {
		t.Errorf("what is no code: %v", err)
	}
	for _, v := range hub.Violations() {
		t.Errorf("against the rules: %s", v)
	}
}
