package git

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// backend serves the repositories below root over smart HTTP to everybody.
func backend(t *testing.T, root string) http.Handler {
	t.Helper()
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	return &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"),
		Env: []string{
			"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null",
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
		},
	}
}

// guarded serves them to who has the password.
func guarded(t *testing.T, root, password string) *httptest.Server {
	t.Helper()
	open := backend(t, root)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if user, given, _ := req.BasicAuth(); user != "attempt" || given != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		open.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	return server
}

func TestFetchMirrorWithCredential(t *testing.T) {
	_, dir := newWork(t, map[string]string{"a": "1"})
	server := guarded(t, filepath.Dir(dir), "hunter2hunter2")
	address := server.URL + "/" + filepath.Base(dir) + "/.git"
	options := FetchOptions{Transports: []string{"http"}, Credential: NewCredential("attempt", "hunter2hunter2")}
	target := filepath.Join(realTemp(t), "m")
	r, err := FetchMirror(t.Context(), address, target, options)
	if err != nil {
		t.Fatal(err)
	}
	if _, h, err := r.Head(); err != nil || h.IsZero() {
		t.Errorf("Head = %s, %v", h, err)
	}
	if found, err := exec.Command("grep", "-rl", "hunter2", target).Output(); err == nil {
		t.Errorf("the password is in %s", found)
	}
	options.Credential = NewCredential("attempt", "wrongwrong")
	_, err = FetchMirror(t.Context(), address, target, options)
	if err == nil || strings.Contains(err.Error(), "wrongwrong") {
		t.Errorf("with a wrong password: %v", err)
	}
}

// The credential is for one address: neither another path of the same server nor
// a place it redirects to is shown it.
func TestCredentialStaysWithItsAddress(t *testing.T) {
	_, dir := newWork(t, map[string]string{"a": "1"})
	var seen []string
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if _, given, ok := req.BasicAuth(); ok {
			seen = append(seen, given)
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="thief"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer thief.Close()
	elsewhere := httptest.NewServer(backend(t, filepath.Dir(dir)))
	defer elsewhere.Close()
	path := "/" + filepath.Base(dir) + "/.git"
	away := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, elsewhere.URL+req.URL.String(), http.StatusFound)
	}))
	defer away.Close()
	options := FetchOptions{Transports: []string{"http"}, Credential: NewCredential("attempt", "hunter2hunter2")}
	if _, err := FetchMirror(t.Context(), elsewhere.URL+path, filepath.Join(realTemp(t), "m"), options); err != nil {
		t.Fatal(err)
	}
	if _, err := FetchMirror(t.Context(), away.URL+path, filepath.Join(realTemp(t), "m"), options); err == nil {
		t.Error("a redirect was followed")
	}
	settings, env, err := options.access(away.URL + "/one")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.run(t.Context(), command{options: append(settings, "protocol.http.allow=always"), env: env,
		args: []string{"ls-remote", "--end-of-options", thief.URL + "/two"}})
	if err == nil || len(seen) > 1 || len(seen) == 1 && seen[0] != "" {
		t.Errorf("another address saw %q; %v", seen, err)
	}
}

func TestCredentialRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		address string
		given   Credential
	}{
		"two in one":   {"https://u:p@example.com/x", NewCredential("a", "b")},
		"not http":     {"ssh://example.com/x", NewCredential("a", "b")},
		"a line break": {"https://example.com/x", NewCredential("a", "b\nhost=evil")},
		"half":         {"https://example.com/x", NewCredential("a", "")},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := (FetchOptions{Credential: c.given}).access(c.address); err == nil {
				t.Error("it is accepted")
			}
		})
	}
}

func TestCheckoutOwn(t *testing.T) {
	_, dir := newWork(t, map[string]string{"a": "1"})
	cli(t, dir, "tag", "v1")
	r, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	_, head, err := r.Head()
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(realTemp(t), "own")
	if err := r.CheckoutOwn(t.Context(), own, head); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if got := cli(t, own, "status", "--porcelain"); got != "" {
		t.Errorf("status: %s", got)
	}
	if got := cli(t, own, "describe", "--tags"); got != "v1" {
		t.Errorf("describe: %s", got)
	}
	fsck(t, own)
	if err := r.CheckoutOwn(t.Context(), own, head); err == nil {
		t.Error("a folder that is not empty was taken")
	}
}

// A credential is not told by whatever prints what holds it.
func TestCredentialIsNotPrinted(t *testing.T) {
	type holder struct{ o FetchOptions }
	o := FetchOptions{Credential: NewCredential("attempt", "hunter2")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		text := fmt.Sprintf(verb+verb+verb+verb, o, &o, holder{o}, &holder{o})
		if strings.Contains(text, "hunter2") || strings.Contains(text, hex.EncodeToString([]byte("hunter2"))) {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}
