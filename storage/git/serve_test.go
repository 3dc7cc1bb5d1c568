package git

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// serving serves a repository's fetches under /git/r and returns the URL.
func serving(t *testing.T, r *Repository) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(r.ServeFetch))
	t.Cleanup(s.Close)
	return s.URL + "/git/r"
}

// stranded makes a commit that no ref reaches any more.
func stranded(t *testing.T, dir string) Hash {
	t.Helper()
	h := commitFiles(t, dir, map[string]string{"b": "gone"})
	cli(t, dir, "reset", "--quiet", "--hard", "HEAD~1")
	return h
}

func TestServeFetch(t *testing.T) {
	r, dir := newWork(t, map[string]string{"a": "1"})
	first := hash(t, cli(t, dir, "rev-parse", "HEAD"))
	commitFiles(t, dir, map[string]string{"a": "2"})
	cli(t, dir, "tag", "v1")
	cli(t, dir, "update-ref", "refs/notes/velocity", "HEAD")
	cli(t, dir, "update-ref", "refs/stash", "HEAD")
	move(t, r, testRef, Zero, "our own")
	lost := stranded(t, dir)
	// A repository's own settings can neither show what is hidden nor start anything.
	canary := filepath.Join(realTemp(t), "canary")
	cli(t, dir, "config", "uploadpack.hideRefs", "!refs/velocity")
	cli(t, dir, "config", "uploadpack.packObjectsHook", "touch "+canary+";")
	cli(t, dir, "config", "core.hooksPath", filepath.Dir(canary))
	url := serving(t, r)

	for _, version := range []string{"0", "2"} {
		t.Run("version "+version, func(t *testing.T) {
			git := func(args ...string) string {
				return cli(t, realTemp(t), append([]string{"-c", "protocol.version=" + version}, args...)...)
			}
			refs := git("ls-remote", url)
			for _, want := range []string{"\tHEAD", "\trefs/heads/main", "\trefs/tags/v1"} {
				if !strings.Contains(refs, want) {
					t.Errorf("ls-remote does not show %q:\n%s", want, refs)
				}
			}
			if n := len(strings.Split(refs, "\n")); n != 3 {
				t.Errorf("ls-remote shows %d refs, want 3:\n%s", n, refs)
			}
			for _, depth := range [][]string{nil, {"--depth=1"}} {
				clone := filepath.Join(realTemp(t), "clone")
				git(append([]string{"clone", "--quiet"}, append(depth, url, clone)...)...)
				if got := cli(t, clone, "rev-parse", "HEAD"); got != cli(t, dir, "rev-parse", "HEAD") {
					t.Errorf("the clone %v has %s", depth, got)
				}
			}
			empty := filepath.Join(realTemp(t), "empty")
			cli(t, ".", "init", "--quiet", empty)
			cli(t, empty, "-c", "protocol.version="+version, "fetch", "--quiet", url, first.String())
			_, err := tryCLI(empty, "", "-c", "protocol.version="+version, "fetch", "--quiet", url, lost.String())
			if got, want := err == nil, version == "2"; got != want {
				t.Errorf("fetch of a commit that nothing reaches: %v; only version 2 serves it", err)
			}
			_, err = tryCLI(empty, "", "-c", "protocol.version="+version, "fetch", "--quiet", url, strings.Repeat("1", 40))
			if err == nil || !strings.Contains(err.Error(), "not our ref") && !strings.Contains(err.Error(), "unadvertised object") {
				t.Errorf("fetch of what is not there: %v; want git's own words", err)
			}
			if _, err := tryCLI(dir, "", "push", "--quiet", url, "HEAD:refs/heads/evil"); err == nil || !strings.Contains(err.Error(), "403") {
				t.Errorf("push: %v; want 403", err)
			}
		})
	}
	if _, err := os.Stat(canary); err == nil {
		t.Error("a setting of the repository started a command")
	}
}

// Who may see more sees what is named, and nothing beside it.
func TestServeFetchOf(t *testing.T) {
	r, dir := newWork(t, map[string]string{"a": "1"})
	for _, ref := range []string{"refs/notes/velocity", "refs/notes/velocityx", "refs/velocity/aaaaaa/archive/0000", "refs/velocity/aaaaaa/archived", "refs/velocity/aaaaaa/desk", "refs/stash"} {
		cli(t, dir, "update-ref", ref, "HEAD")
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.ServeFetchOf(w, req, []string{"refs/notes/velocity", "refs/velocity/aaaaaa/archive"})
	}))
	defer s.Close()
	shown := []string{"HEAD", "refs/heads/main", "refs/notes/velocity", "refs/velocity/aaaaaa/archive/0000"}
	for _, version := range []string{"0", "2"} {
		var got []string
		for line := range strings.Lines(cli(t, realTemp(t), "-c", "protocol.version="+version, "ls-remote", s.URL+"/r")) {
			_, name, _ := strings.Cut(strings.TrimSpace(line), "\t")
			got = append(got, name)
		}
		if !slices.Equal(got, shown) {
			t.Errorf("version %s shows %q, want %q", version, got, shown)
		}
		cli(t, dir, "-c", "protocol.version="+version, "fetch", "--quiet", s.URL+"/r", "+refs/notes/velocity:refs/got")
		if _, err := tryCLI(dir, "", "-c", "protocol.version="+version, "fetch", "--quiet", s.URL+"/r", "refs/velocity/aaaaaa/desk"); err == nil {
			t.Error("a ref that is not shown was fetched by its name")
		}
		if _, err := tryCLI(dir, "", "push", "--quiet", s.URL+"/r", "+HEAD:refs/notes/velocity"); err == nil || !strings.Contains(err.Error(), "403") {
			t.Errorf("push of notes: %v; want 403", err)
		}
	}
	if strings.Contains(cli(t, realTemp(t), "ls-remote", serving(t, r)), "notes") {
		t.Error("what one saw is shown to everybody after that")
	}
}

func TestServeFetchToMirror(t *testing.T) {
	r, dir := newWork(t, map[string]string{"a": "1"})
	url := serving(t, r)
	target := filepath.Join(realTemp(t), "m.git")
	plain := FetchOptions{Transports: []string{"http"}}
	for range 2 { // the second brings what is new, to who has the rest
		m, err := FetchMirror(t.Context(), url, target, plain)
		if err != nil {
			t.Fatal(err)
		}
		if _, got, err := m.Head(); err != nil || got.String() != cli(t, dir, "rev-parse", "HEAD") {
			t.Errorf("the mirror's HEAD is %s, %v", got, err)
		}
		for i := range 50 { // enough to make git pack its question
			cli(t, dir, "commit", "--quiet", "--allow-empty", "-m", strings.Repeat("x", i+1))
		}
	}
	fsck(t, target)
}

func TestServeFetchRefusals(t *testing.T) {
	r, _ := newWork(t, map[string]string{"a": "1"})
	const pack, kind = "/x/git-upload-pack", "application/x-git-upload-pack-request"
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := z.Write([]byte("0011command=fetch0001")); err != nil {
		t.Fatal(err)
	}
	line := []byte("0032have " + strings.Repeat("1", 40) + "\n")
	if _, err := z.Write(bytes.Repeat(line, maxFetchRequest/len(line)+10)); err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write([]byte("0009done\n0000")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, method, target, kind, encoding string
		body                                 []byte
		want                                 int
	}{
		{"dumb", "GET", "/x/info/refs", "", "", nil, 403},
		{"push", "GET", "/x/info/refs?service=git-receive-pack", "", "", nil, 403},
		{"push's pack", "POST", "/x/git-receive-pack", "", "", nil, 403},
		{"another service", "GET", "/x/info/refs?service=--upload-pack", "", "", nil, 403},
		{"a file", "GET", "/x/HEAD", "", "", nil, 404},
		{"a file outside", "GET", "/x/../../objects/info/packs", "", "", nil, 404},
		{"post of refs", "POST", "/x/info/refs?service=git-upload-pack", "", "", nil, 405},
		{"get of a pack", "GET", pack, kind, "", nil, 405},
		{"a form", "POST", pack, "text/plain", "", nil, 415},
		{"unknown packing", "POST", pack, kind, "br", nil, 400},
		{"broken packing", "POST", pack, kind, "gzip", []byte("no gzip"), 400},
		{"no words of git", "POST", pack, kind, "", []byte("zzzz"), 500},
		{"too much", "POST", pack, kind, "gzip", bomb.Bytes(), 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := httptest.NewRequest(c.method, c.target, bytes.NewReader(c.body))
			req.Header.Set("Content-Type", c.kind)
			req.Header.Set("Content-Encoding", c.encoding)
			req.Header.Set("Git-Protocol", "version=2:x=$(id)")
			w := httptest.NewRecorder()
			r.ServeFetch(w, req)
			if w.Code != c.want {
				t.Errorf("status %d, want %d: %s", w.Code, c.want, w.Body)
			}
		})
	}
}

// A request that ends while git waits for its client ends git, and the waiting.
func TestServeFetchEnds(t *testing.T) {
	r, _ := newWork(t, map[string]string{"a": "1"})
	returned := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		defer close(returned)
		ctx, cancel := context.WithCancel(req.Context())
		req.Body = asked{req.Body, cancel}
		r.ServeFetch(w, req.WithContext(ctx))
	}))
	defer server.Close()
	body, rest := io.Pipe()
	defer rest.Close()
	req, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+"/x/git-upload-pack", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-git-upload-pack-request")
	go func() {
		if res, err := server.Client().Do(req); err == nil {
			res.Body.Close()
		}
	}()
	select {
	case <-returned:
	case <-time.After(30 * time.Second):
		t.Fatal("the request has ended, its handler has not")
	}
}

// asked is the body of a client that says nothing; the first reading of it ends
// the request.
type asked struct {
	io.ReadCloser
	end context.CancelFunc
}

func (a asked) Read(p []byte) (int, error) {
	time.AfterFunc(10*time.Millisecond, a.end)
	return a.ReadCloser.Read(p)
}

func TestServeFetchProtocol(t *testing.T) {
	for header, want := range map[string]string{
		"": "", "version=2": "version=2", "version=1": "", "a=b:version=2:c": "version=2", "version=2\nGIT_DIR=/": "", "version=22": "",
	} {
		req := &http.Request{Header: http.Header{"Git-Protocol": {header}}}
		if got := protocol(req); got != want {
			t.Errorf("protocol(%q) = %q, want %q", header, got, want)
		}
	}
}
