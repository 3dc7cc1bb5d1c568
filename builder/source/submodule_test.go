package source

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/git"
)

// A forge serves the repositories below root over https, and counts who asks.
type forge struct {
	*httptest.Server
	root  string
	asked atomic.Int64
}

// newForge begins a server whose certificate git believes. before may answer in
// its place, and then returns true.
func newForge(t *testing.T, before func(w http.ResponseWriter, req *http.Request) bool) *forge {
	t.Helper()
	f := &forge{root: t.TempDir()}
	f.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		f.asked.Add(1)
		if before != nil && before(w, req) {
			return
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
		repo, err := git.Open(req.Context(), filepath.Join(f.root, name))
		if err != nil {
			http.NotFound(w, req)
			return
		}
		repo.ServeFetch(w, req)
	}))
	t.Cleanup(f.Close)
	authority := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})
	if err := os.WriteFile(authority, text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GIT_SSL_CAINFO", authority)
	return f
}

// add makes a repository with a commit by a script, and returns that.
func (f *forge) add(t *testing.T, name, script string) plan.Commit {
	t.Helper()
	dir := filepath.Join(f.root, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	sh(t, dir, "git init -q -b main .; "+script+"; git add .; git commit -qm "+name)
	return head(t, dir)
}

// link is a script that adds a submodule as git submodule add would.
func link(path, url string, commit plan.Commit) string {
	return fmt.Sprintf(`git config -f .gitmodules submodule.%s.path %[1]s; git config -f .gitmodules submodule.%[1]s.url '%s'
		git update-index --add --cacheinfo 160000,%s,%[1]s; mkdir -p %[1]s`, path, url, commit)
}

// shop is a request for a repository of the forge, as the server next to it asks.
func (f *forge) shop(commit plan.Commit) Request {
	return Request{Name: "a", Repository: filepath.Join(f.root, "shop"), Commit: commit, Submodules: true, Origin: f.URL + "/shop"}
}

func TestSubmodules(t *testing.T) {
	remote := newForge(t, nil)
	deep := remote.add(t, "deep", "echo deep > file")
	lib := remote.add(t, "lib", "echo old > file; git add .; git commit -qm before; echo lib > file; "+link("in/deep", remote.URL+"/deep", deep))
	sh(t, filepath.Join(remote.root, "lib"), "git rm -q --cached in/deep; git commit -qam after") // the tip is not what is wanted
	commit := remote.add(t, "shop", "echo shop > file; "+link("vendor/lib", "../lib", lib)+"; "+link("again", "../lib", lib))
	f := fresh(t)
	want := remote.shop(commit)
	ws, done, err := f.Open(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	got := sh(t, ws.Dir, "cat file vendor/lib/file vendor/lib/in/deep/file again/file; git status --porcelain; git -C vendor/lib status --porcelain")
	if got != "shop\nlib\ndeep\nlib" {
		t.Errorf("the workspace holds %q", got)
	}
	got = sh(t, ws.Dir, "git -C vendor/lib rev-parse HEAD; git -C vendor/lib rev-list --count HEAD; git -C vendor/lib fsck --no-dangling")
	if got != string(lib)+"\n1" {
		t.Errorf("the submodule is %q", got)
	}
	for _, sub := range []string{"vendor/lib", "vendor/lib/in/deep", "again"} {
		if got := sh(t, filepath.Join(ws.Dir, sub), "test -d .git; test ! -e .git/objects/info/alternates; find .git -type f -links +1; find .git -type l"); got != "" {
			t.Errorf("%s shares %s", sub, got)
		}
	}
	f.upkeep.Wait()
	if n := mirrors(t, f); n != 2 {
		t.Errorf("%d caches; want that of lib and of deep", n)
	}
	if got := sh(t, f.Mirrors, `for m in *; do git --git-dir="$m" rev-list --count --all; done`); got != "1\n1" {
		t.Errorf("the caches have %q commits; want one each", got)
	}
	if err := done(); err != nil {
		t.Error(err)
	}
	remote.Close()
	want.Name = "b"
	if _, _, err := f.Open(t.Context(), want); err != nil {
		t.Errorf("what was fetched is fetched again: %v", err)
	}
	for _, o := range f.origins {
		if strings.HasPrefix(o.name, "https://") && o.uses != 0 {
			t.Errorf("%s is held", o.name)
		}
	}
	f.Limit = 1
	if err := f.evict(); err != nil || mirrors(t, f) != 0 {
		t.Errorf("%d caches stay beyond the limit; %v", mirrors(t, f), err)
	}
}

// A server that gives no single commits is asked for all.
func TestSubmoduleOfServerWithoutDepth(t *testing.T) {
	remote := newForge(t, func(w http.ResponseWriter, req *http.Request) bool {
		body, err := io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(body))
		if err == nil && bytes.Contains(body, []byte("deepen")) {
			http.Error(w, "no", http.StatusForbidden)
			return true
		}
		return false
	})
	lib := remote.add(t, "lib", "echo lib > file; git add .; git commit -qm one; echo two > file")
	f := fresh(t)
	ws, _, err := f.Open(t.Context(), remote.shop(remote.add(t, "shop", link("lib", "../lib", lib))))
	if err != nil {
		t.Fatal(err)
	}
	if got := sh(t, ws.Dir, "cat lib/file; git -C lib rev-list --count HEAD"); got != "two\n1" {
		t.Errorf("the submodule holds %q", got)
	}
}

func TestSubmoduleThatIsGone(t *testing.T) {
	remote := newForge(t, nil)
	remote.add(t, "lib", "echo lib > file")
	commit := remote.add(t, "shop", link("lib", "../lib", plan.Commit(strings.Repeat("1", 40))))
	f := fresh(t)
	_, _, err := f.Open(t.Context(), remote.shop(commit))
	if !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), `submodule "lib" from `+remote.URL+"/lib") {
		t.Errorf("Open = %v; want ErrGone and the name", err)
	}
	if _, err := os.Stat(filepath.Join(f.Work, "a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a workspace is left: %v", err)
	}
}

// Neither a redirect nor a password that was shown for another purpose opens what
// is not public on an allowed server.
func TestSubmodulesArePublic(t *testing.T) {
	elsewhere := newForge(t, nil)
	elsewhere.add(t, "lib", "echo canary > canary")
	remote := newForge(t, func(w http.ResponseWriter, req *http.Request) bool {
		_, password, _ := req.BasicAuth()
		switch {
		case strings.HasPrefix(req.URL.Path, "/away/"):
			http.Redirect(w, req, elsewhere.URL+"/lib"+strings.TrimPrefix(req.URL.String(), "/away"), http.StatusFound)
		case strings.HasPrefix(req.URL.Path, "/private/") && password != "hunter2hunter2":
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		default:
			return false
		}
		return true
	})
	lib := remote.add(t, "private", "echo canary > canary")
	f := fresh(t)
	_, _, err := f.Open(t.Context(), Request{Name: "p", Repository: remote.URL + "/private", Commit: lib, Password: "hunter2hunter2"})
	if err != nil {
		t.Fatal(err)
	}
	for name, url := range map[string]string{"away": "../away", "private": "../private"} {
		commit := remote.add(t, "of-"+name, link("lib", url, lib))
		want := remote.shop(commit)
		want.Repository = filepath.Join(remote.root, "of-"+name)
		_, _, err := f.Open(t.Context(), want)
		if err == nil || errors.Is(err, ErrGone) || errors.Is(err, ErrSubmodules) || !strings.Contains(err.Error(), "not public") {
			t.Errorf("%s: Open = %v; want what the server said, and why", name, err)
		}
		noCanary(t, filepath.Join(f.Work, "a"))
	}
	if n := elsewhere.asked.Load(); n > 0 {
		t.Errorf("the other server was asked %d times", n)
	}
}

// noCanary fails if a file of a submodule, or what a hostile address would have
// made, is anywhere below dir.
func noCanary(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.Contains(d.Name(), "canary") {
			t.Errorf("there is %s", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever a commit says of its submodules, nothing is asked, run or written that
// is not allowed.
func TestHostileSubmodules(t *testing.T) {
	remote, other := newForge(t, nil), newForge(t, nil)
	lib := remote.add(t, "lib", "echo canary > canary")
	t.Chdir(t.TempDir()) // where a command would leave its canary
	section := func(path, url string) string {
		return fmt.Sprintf("[submodule \"lib\"]\n\tpath = %s\n\turl = \"%s\"\n\tupdate = !touch canary\n", path, url)
	}
	type row struct{ modules, links, want string }
	rows := []row{
		{"", "lib", "no section"},
		{section("other", "../lib"), "lib", "no section"},
		{"[submodule \"lib\"]\n\tpath = lib\n", "lib", "no section"},
		{section("lib", "../lib") + section("lib", "../lib"), "lib", "twice"},
		{section("lib", "../lib") + "[submodule \"x\"]\n\tpath = lib\n\turl = ../x\n", "lib", "another section"},
		{"[submodule \"lib\"\n", "lib", "cannot be read"},
		{"[submodule \"lib\"]\n\tpath\n\turl = ../lib\n", "lib", "empty"},
		{"[include]\n\tpath = " + filepath.Join(remote.root, "inc") + "\n", "lib", "no section"},
		{section("lib", "../lib") + strings.Repeat("# long\n", 40_000), "lib", "bytes"},
		{section("lib", "https://"+strings.TrimPrefix(other.URL, "https://")+"/lib"), "lib", "may not come from"},
		{section("lib", "https://localhost/lib"), "lib", "may not come from"},
		{section("lib", "git@evil.example:lib"), "lib", "may not come from evil.example"},
	}
	for _, path := range []string{
		`\"..\"`, "../lib", "a/../lib", "/lib", ".git", ".git/hooks", "a/.GIT/hooks", "GIT~1/x", ".git /x", ".git./x", "-lib", "--x",
		`\"lib\\r\"`, `lib\\x`, ".g\u200cit/hooks", "link/x", "LINK/x", "a//b", "a/.", "c:x", `\"lib \"`,
	} {
		path = strings.ReplaceAll(path, `\"`, `"`)
		rows = append(rows, row{section("lib", "../lib") + fmt.Sprintf("[submodule \"x\"]\n\tpath = %s\n\turl = ../x\n", path), "lib", ""})
	}
	for _, url := range hostile {
		if !strings.ContainsAny(url, "\n\r") && url != "" && len(url) < 1000 {
			rows = append(rows, row{section("lib", strings.ReplaceAll(url, `\`, `\\`)), "lib", ".gitmodules is refused"})
		}
	}
	sh(t, remote.root, "git config -f inc submodule.lib.path lib; git config -f inc submodule.lib.url ../lib")
	dir := filepath.Join(remote.root, "shop")
	remote.add(t, "shop", "ln -s .git link; echo x > file")
	f := fresh(t)
	for i, r := range rows {
		if err := os.WriteFile(filepath.Join(dir, ".gitmodules"), []byte(r.modules), 0o600); err != nil {
			t.Fatal(err)
		}
		sh(t, dir, fmt.Sprintf("git add .gitmodules; git update-index --add --cacheinfo 160000,%s,%s; git commit -q --allow-empty -m x", lib, r.links))
		_, _, err := f.Open(t.Context(), remote.shop(head(t, dir)))
		if !errors.Is(err, ErrSubmodules) || !strings.Contains(err.Error(), r.want) {
			t.Errorf("row %d, %.200q: Open = %v; want a refusal with %q", i, r.modules, err, r.want)
		}
	}
	noCanary(t, f.Work)
	noCanary(t, ".")
	if n := remote.asked.Load() + other.asked.Load(); n > 0 {
		t.Errorf("servers were asked %d times", n)
	}
	if _, err := os.Stat(f.Mirrors); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was fetched: %v", err)
	}
}

// Trees that no git would make: a submodule below .git, and one where a link is.
func TestHostileSubmoduleTrees(t *testing.T) {
	remote := newForge(t, nil)
	lib := remote.add(t, "lib", "echo canary > canary")
	dir := filepath.Join(remote.root, "shop")
	remote.add(t, "shop", "echo x > file")
	blob := func(text string) string {
		return sh(t, dir, "printf '"+text+"' | git hash-object -w --stdin")
	}
	for name, c := range map[string]struct{ path, entries string }{
		"hooks": {".git/hooks", `040000 tree $(printf '160000 commit ` + string(lib) + `\thooks\000' | git mktree -z --missing)\t.git\000`},
		"link":  {"lib", `120000 blob ` + blob(".git/hooks") + `\tlib\000160000 commit ` + string(lib) + `\tlib\000`},
		"file":  {"lib", `160000 commit ` + string(lib) + `\tlib\000`},
	} {
		t.Run(name, func(t *testing.T) {
			modules := "100644 blob " + blob(`[submodule "lib"]\n\tpath = `+c.path+`\n\turl = ../lib\n`)
			if name == "file" { // .gitmodules itself is a link
				modules = "120000" + strings.TrimPrefix(modules, "100644")
			}
			commit := sh(t, dir, `git commit-tree -m x $(printf "`+modules+`\t.gitmodules\000`+c.entries+`" | git mktree -z --missing)`)
			f := fresh(t)
			_, _, err := f.Open(t.Context(), remote.shop(plan.Commit(commit)))
			if !errors.Is(err, ErrSubmodules) {
				t.Errorf("Open = %v; want ErrSubmodules", err)
			}
			if _, err := os.Stat(f.Work); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a workspace was made: %v", err)
			}
		})
	}
	if n := remote.asked.Load(); n > 0 {
		t.Errorf("the server was asked %d times", n)
	}
}

// What a submodule says of its own counts from where it came, and is no more
// allowed than at the top.
func TestNestedSubmodules(t *testing.T) {
	remote, other := newForge(t, nil), newForge(t, nil)
	evil := remote.add(t, "evil", link("in", other.URL+"/x", plan.Commit(strings.Repeat("1", 40))))
	chain := remote.add(t, "n0", "echo end > file")
	for i := range maxNesting + 1 {
		if i == maxNesting {
			f := fresh(t)
			ws, _, err := f.Open(t.Context(), remote.shop(remote.add(t, "shop", link("n", "../n4", head(t, filepath.Join(remote.root, "n4"))))))
			if err != nil {
				t.Fatal(err)
			}
			if got := sh(t, ws.Dir, "cat n/n/n/n/n/file"); got != "end" {
				t.Errorf("the deepest holds %q", got)
			}
		}
		chain = remote.add(t, fmt.Sprintf("n%d", i+1), link("n", fmt.Sprintf("../n%d", i), chain))
	}
	many := `for i in $(seq ` + fmt.Sprint(maxSubmodules+1) + `); do
		mkdir m$i; printf '[submodule "m%s"]\n\tpath = m%s\n\turl = ../n0\n' $i $i >> .gitmodules
		printf '160000 ` + string(head(t, filepath.Join(remote.root, "n0"))) + `\tm%s\n' $i >> ../links; done; git update-index --index-info < ../links`
	for name, c := range map[string]struct{ script, want string }{
		"host":  {link("lib", "../evil", evil), "may not come from"},
		"depth": {link("n", "../n5", head(t, filepath.Join(remote.root, "n5"))), "more than 5 deep"},
		"many":  {many, "more than 100"},
	} {
		commit := remote.add(t, "shop-"+name, c.script)
		want := remote.shop(commit)
		want.Repository = filepath.Join(remote.root, "shop-"+name)
		if _, _, err := fresh(t).Open(t.Context(), want); !errors.Is(err, ErrSubmodules) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Open = %v; want a refusal with %q", name, err, c.want)
		}
	}
	if n := other.asked.Load(); n > 0 {
		t.Errorf("the other server was asked %d times", n)
	}
}

func TestStraight(t *testing.T) {
	top := t.TempDir()
	sh(t, top, "mkdir -p top/a/b outside/b; ln -s ../outside top/link; ln -s a top/near; ln -s top alias")
	for path, good := range map[string]bool{"a": true, "a/b": true, "link": false, "link/b": false, "near": false, "near/b": false, "none": false} {
		for _, name := range []string{"top", "alias"} { // a folder of the builder may be reached through a link
			work := filepath.Join(top, name)
			if err := straight(filepath.Join(work, path), work); (err == nil) != good {
				t.Errorf("%s below %s: %v", path, name, err)
			}
		}
	}
}

func TestSubmodulesOfUntrustedCode(t *testing.T) {
	remote := newForge(t, nil)
	lib := remote.add(t, "lib", "echo canary > canary")
	want := remote.shop(remote.add(t, "shop", link("lib", "../lib", lib)))
	want.Own = true
	f := fresh(t)
	_, _, err := f.Open(t.Context(), want)
	if !errors.Is(err, ErrSubmodules) || !strings.Contains(err.Error(), "submodules are not fetched for untrusted code") {
		t.Errorf("Open = %v; want a refusal", err)
	}
	want.Submodules = false
	ws, _, err := f.Open(t.Context(), want)
	if err != nil {
		t.Fatalf("a task that does not want them: %v", err)
	}
	noCanary(t, ws.Dir)
	if n := remote.asked.Load(); n > 0 {
		t.Errorf("the server was asked %d times", n)
	}
}
