package web_test

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/storage/roster"
)

func called(name string) *web.Server {
	return &web.Server{
		Site: &architect.Site{Name: name}, Git: func(w http.ResponseWriter, r *http.Request, _ bool) { fmt.Fprint(w, name, " ", r.URL.Path) },
	}
}

// Names of repositories on forges have several parts, and one may begin like
// another. They come and go.
func TestSites(t *testing.T) {
	r := newRig(t)
	token, _ := r.token(roster.Read)
	fetch := func(path string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/git/"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("ann", token)
		resp, err := r.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	deep := called("group/sub/name")
	r.front.Sites.Add(called("group/sub"))
	r.front.Sites.Add(deep)
	for path, want := range map[string]string{
		"group/sub/info/refs":                "group/sub /info/refs",
		"group/sub/name/info/refs":           "group/sub/name /info/refs",
		"group%2Fsub%2Fname/git-upload-pack": "group/sub/name /git-upload-pack",
		"group/sub/other/info/refs":          "group/sub /other/info/refs", // git answers that there is none
		"shop/info/refs":                     "shop /info/refs true",
	} {
		if status, got := fetch(path); status != http.StatusOK || got != want {
			t.Errorf("%s: %d %q; want %q", path, status, got, want)
		}
	}
	deep.Site.Rename("group/moved")
	if status, got := fetch("group/moved/info/refs"); status != http.StatusOK || got != "group/sub/name /info/refs" {
		t.Errorf("after a rename: %d %q", status, got)
	}
	r.front.Sites.Remove(deep)
	if status, _ := fetch("group/moved/info/refs"); status != http.StatusNotFound {
		t.Errorf("after it went: %d", status)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			one := called("come/go")
			r.front.Sites.Add(one)
			_, _ = r.ask(http.MethodGet, "/api/v1/repositories", token, "")
			r.front.Sites.Remove(one)
		})
	}
	all.Wait()
	if status, _ := fetch("come/go/info/refs"); status != http.StatusNotFound {
		t.Errorf("after all went: %d", status)
	}
}
