package git

import (
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pushAt pushes HEAD's commit to refs/notes/velocity of a remote.
func pushAt(t *testing.T, r *Repository, address string, a Access) error {
	t.Helper()
	m, err := r.RemoteAt(address, "hub", a)
	if err != nil {
		return err
	}
	if m.Key() != "at+hub" {
		t.Errorf("the remote goes by %q", m.Key())
	}
	_, head, err := r.Head()
	if err != nil {
		t.Fatal(err)
	}
	results, err := m.Push(t.Context(), []Push{{Hash: head, To: "refs/notes/velocity"}})
	if err == nil && (len(results) != 1 || results[0].Outcome != Taken) {
		t.Errorf("push: %+v", results)
	}
	return err
}

// Over http the credential alone opens the remote: nobody else is asked for one, and
// it goes nowhere else.
func TestRemoteAtWithCredential(t *testing.T) {
	r, dir := newWork(t, map[string]string{"a": "1"})
	hub := filepath.Join(realTemp(t), "hub.git")
	cli(t, ".", "init", "--quiet", "--bare", hub)
	cli(t, hub, "config", "http.receivepack", "true")
	backend := &cgi.Handler{
		Path: filepath.Join(cli(t, dir, "--exec-path"), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Dir(hub), "GIT_HTTP_EXPORT_ALL=1"},
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer elsewhere.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		user, password, _ := req.BasicAuth()
		switch {
		case strings.HasPrefix(req.URL.Path, "/moved"):
			http.Redirect(w, req, elsewhere.URL+req.URL.Path, http.StatusMovedPermanently)
		case user != "ann" || password != "opens":
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		default:
			backend.ServeHTTP(w, req)
		}
	}))
	defer server.Close()
	asked := filepath.Join(realTemp(t), "asked")
	cli(t, dir, "config", "credential.helper", "!touch "+asked+"; echo username=ann; echo password=opens; :")
	plain := []string{"http"}
	if err := pushAt(t, r, server.URL+"/hub.git", Access{Transports: plain, Credential: NewCredential("ann", "wrong")}); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("with a wrong credential: %v; want an error without it", err)
	}
	if err := pushAt(t, r, server.URL+"/moved.git", Access{Transports: plain, Credential: NewCredential("ann", "opens")}); err == nil {
		t.Error("a redirect was followed")
	}
	if err := pushAt(t, r, server.URL+"/hub.git", Access{Credential: NewCredential("ann", "opens")}); err == nil {
		t.Error("http was spoken though nobody allowed it")
	}
	if err := pushAt(t, r, server.URL+"/hub.git", Access{Transports: plain, Credential: NewCredential("ann", "opens")}); err != nil {
		t.Errorf("with the credential: %v", err)
	}
	if cli(t, hub, "rev-parse", "refs/notes/velocity") != cli(t, dir, "rev-parse", "HEAD") {
		t.Error("the notes did not arrive")
	}
	if _, err := os.Stat(asked); err == nil {
		t.Error("a helper of the repository was asked")
	}
}

// Over ssh one key is shown, and ssh asks nobody.
func TestRemoteAtWithKey(t *testing.T) {
	r, dir := newWork(t, map[string]string{"a": "1"})
	hub := filepath.Join(realTemp(t), "hub.git")
	cli(t, ".", "init", "--quiet", "--bare", hub)
	bin, said := realTemp(t), filepath.Join(realTemp(t), "said")
	script := "#!/bin/sh\nprintf '%s\\n' \"$@\" >>" + said + "\nfor last; do :; done\nexec sh -c \"$last\"\n"
	if err := os.WriteFile(filepath.Join(bin, "ssh"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	if err := pushAt(t, r, "ssh://git@hub.example"+hub, Access{Key: "/keys/it's mine; exit"}); err != nil {
		t.Fatal(err)
	}
	if cli(t, hub, "rev-parse", "refs/notes/velocity") != cli(t, dir, "rev-parse", "HEAD") {
		t.Error("the notes did not arrive")
	}
	args, err := os.ReadFile(said)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"-oBatchMode=yes\n", "-oStrictHostKeyChecking=yes\n", "-oIdentitiesOnly=yes\n", "-i\n/keys/it's mine; exit\n", "git@hub.example\n"} {
		if !strings.Contains(string(args), want) {
			t.Errorf("ssh was called without %q:\n%s", want, args)
		}
	}
}

func TestRemoteAtRefuses(t *testing.T) {
	r, _ := newWork(t, map[string]string{"a": "1"})
	for name, c := range map[string]struct {
		address, key string
		access       Access
	}{
		"an option":                 {"--upload-pack=x", "hub", Access{}},
		"a command":                 {"ext::sh", "hub", Access{}},
		"no key":                    {"https://hub.example/x", "", Access{}},
		"a long key":                {"https://hub.example/x", strings.Repeat("x", 41), Access{}},
		"an ssh key for http":       {"https://hub.example/x", "hub", Access{Key: "k"}},
		"a credential for ssh":      {"ssh://hub.example/x", "hub", Access{Credential: NewCredential("a", "b")}},
		"a credential of two lines": {"https://hub.example/x", "hub", Access{Credential: NewCredential("a", "b\nc")}},
	} {
		if m, err := r.RemoteAt(c.address, c.key, c.access); err == nil {
			t.Errorf("%s: %v is a remote", name, m)
		}
	}
}
