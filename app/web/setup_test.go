package web_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/velocity-ci/velocity/app/web"
)

// maker makes Apps of nothing.
type maker struct {
	mu    sync.Mutex
	codes []string
	err   error
}

func (*maker) Page(organisation, state string) (string, error) {
	if strings.Contains(organisation, "/") {
		return "", errors.New("that is no organisation")
	}
	return "https://github.example/" + organisation + "?state=" + state, nil
}

func (*maker) Manifest() []byte { return []byte(`{"name":"\"><script>"}`) }

func (m *maker) Make(_ context.Context, code string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.codes = append(m.codes, code)
	return "https://github.example/apps/velocity/installations/new", m.err
}

// A browser keeps cookies and says what it was answered.
type browser struct {
	t    *testing.T
	url  string
	http *http.Client
}

func newBrowser(t *testing.T, address string) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, address, &http.Client{Jar: jar}}
}

func (b *browser) open(method, path string, form url.Values) (int, string, http.Header) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := b.http.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header
}

var stateOf = regexp.MustCompile(`state=([A-Z0-9]+)`)

func TestSetup(t *testing.T) {
	r := newRig(t)
	b, thief := newBrowser(t, r.url), newBrowser(t, r.url)
	for _, path := range []string{web.SetupPath, web.SetupCallback} {
		if status, _, _ := b.open(http.MethodGet, path, nil); status != http.StatusNotFound {
			t.Errorf("%s without a set-up: %d", path, status)
		}
	}
	m := &maker{}
	r.front.Setup = web.NewSetup(m, "https://github.example", true)
	printed := web.SetupPath + r.front.Setup.Query()
	refused := func(who *browser, method, path, why string) {
		t.Helper()
		if status, _, _ := who.open(method, path, nil); status != http.StatusForbidden {
			t.Errorf("%s: %d; want 403", why, status)
		}
	}
	refused(b, http.MethodGet, web.SetupPath, "without the token")
	refused(b, http.MethodGet, web.SetupPath+"?token=", "with an empty token")
	refused(b, http.MethodGet, web.SetupPath+"?token=x", "with another token")
	refused(b, http.MethodHead, printed, "a look at the headers")
	refused(b, http.MethodGet, web.SetupCallback+"?code=c&state=", "a callback that nobody began")

	b.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	_, _, header := b.open(http.MethodGet, printed, nil)
	cookie := header.Get("Set-Cookie")
	for _, attribute := range []string{"Path=/setup/github;", "HttpOnly", "Secure", "SameSite=Lax"} {
		if !strings.Contains(cookie+";", attribute) {
			t.Errorf("the cookie %q is not %s", cookie, attribute)
		}
	}
	if header.Get("Location") != web.SetupPath {
		t.Errorf("the token stays in the address %q", header.Get("Location"))
	}
	b.http.CheckRedirect = nil
	r.front.Setup = web.NewSetup(m, "https://github.example", false)
	printed = web.SetupPath + r.front.Setup.Query()
	status, page, header := b.open(http.MethodGet, printed, nil)
	if status != http.StatusOK {
		t.Fatalf("the page: %d %s", status, page)
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "same-origin",
		"Content-Security-Policy": "default-src 'none'; form-action 'self' https://github.example; frame-ancestors 'none'; base-uri 'none'",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: %q; want %q", name, got, want)
		}
	}
	if strings.Contains(page, "<script") || !strings.Contains(page, `action="https://github.example/?state=`) {
		t.Errorf("the page:\n%s", page)
	}
	refused(thief, http.MethodGet, printed, "the token again")
	first := stateOf.FindStringSubmatch(page)[1]
	if status, page, _ = b.open(http.MethodPost, web.SetupPath, url.Values{"organisation": {"a/b"}}); status != http.StatusBadRequest || !strings.Contains(page, "that is no organisation") {
		t.Errorf("a bad organisation: %d %s", status, page)
	}
	_, page, _ = b.open(http.MethodPost, web.SetupPath, url.Values{"organisation": {"acme"}})
	if !strings.Contains(page, `action="https://github.example/acme?state=`) {
		t.Errorf("the page for an organisation:\n%s", page)
	}
	state := stateOf.FindStringSubmatch(page)[1]
	back := web.SetupCallback + "?code=c&state="
	refused(b, http.MethodGet, back+first, "the state of an older form")
	refused(thief, http.MethodGet, back+state, "somebody without the session")
	m.err = errors.New("the code is too old")
	if status, page, _ = b.open(http.MethodGet, back+state, nil); status != http.StatusBadGateway || !strings.Contains(page, "the code is too old") {
		t.Errorf("a code that is refused: %d %s", status, page)
	}
	refused(b, http.MethodGet, back+state, "a state that came back already")
	m.err = nil
	_, page, _ = b.open(http.MethodGet, web.SetupPath, nil)
	state = stateOf.FindStringSubmatch(page)[1]
	var all sync.WaitGroup
	made := make(chan string, 8)
	for range cap(made) { // at once, as an impatient finger does
		all.Go(func() {
			if status, page, _ := b.open(http.MethodGet, back+state, nil); status == http.StatusOK {
				made <- page
			}
		})
	}
	all.Wait()
	if len(made) != 1 || len(m.codes) != 2 {
		t.Fatalf("%d were answered, %d codes exchanged; want one, and the one that was refused", len(made), len(m.codes))
	}
	if page := <-made; !strings.Contains(page, `href="https://github.example/apps/velocity/installations/new"`) {
		t.Errorf("the last page:\n%s", page)
	}
	for _, path := range []string{web.SetupPath, back + state} {
		if status, _, _ := b.open(http.MethodGet, path, nil); status != http.StatusNotFound {
			t.Errorf("%s after all is done: %d", path, status)
		}
	}
}
