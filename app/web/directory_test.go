package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/storage/roster"
	"github.com/velocity-ci/velocity/storage/seal"
)

// A register is what the server has on record of repositories on forges.
type register struct{ all []web.Known }

func (g *register) put(k web.Known) {
	g.all = slices.DeleteFunc(g.all, func(old web.Known) bool { return old.Identity == k.Identity })
	g.all = append(g.all, k)
}

func (g *register) list(context.Context) ([]web.Known, error) { return slices.Clone(g.all), nil }

// forged is a repository of a forge, which answers fetches with its key.
func forged(key, name string) *web.Server {
	s := called(name)
	s.Site = &architect.Site{Name: name, Key: key}
	s.Git = func(w http.ResponseWriter, r *http.Request, _ bool) { fmt.Fprint(w, key, " ", r.URL.Path) }
	return s
}

// fetchKey asks as git does, and returns who answered.
func (r *rig) fetchKey(path, user, password string) string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.url+"/git/"+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.SetBasicAuth(user, password)
	resp, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	var key string
	if resp.StatusCode == http.StatusOK {
		_, err = fmt.Fscan(resp.Body, &key)
	} else {
		key = fmt.Sprint(resp.StatusCode)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return key
}

// post sends JSON, and decodes an answer of success.
func post[T any](r *rig, path, token string, body any) (T, int) {
	r.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		r.t.Fatal(err)
	}
	status, answer := r.ask(http.MethodPost, path, token, string(text))
	var out T
	if status == http.StatusCreated {
		if err := json.Unmarshal([]byte(answer), &out); err != nil {
			r.t.Fatal(err)
		}
	}
	return out, status
}

// What is made for octo/world is for the repository that is called so at that
// moment. When that is renamed and another one is made under the name, the heir gets
// nothing of it, and the renamed one keeps all.
func TestNamesAreInheritedByNobody(t *testing.T) {
	r, known := newRig(t), &register{}
	r.front.Known = known.list
	r.front.Attempt = func(identity, token string) bool { return identity == "github-7" && token == "under way" }
	first := forged("github-7", "octo/world")
	known.put(web.Known{Identity: "github-7", Name: "octo/world"})
	r.front.Sites.Add(first)
	admin, _ := r.token(roster.Admin)

	issued, _ := post[api.Issued](r, api.PathTokens, admin, api.Token{Name: "ann", Rights: "act", Repositories: []string{"octo/world"}})
	secret, _ := post[api.Secret](r, api.PathSecrets, admin, api.SetSecret{Secret: api.Secret{Name: "key", Repository: "octo/world"}, Value: []byte("canary-value")})
	want := api.Bound{Key: "github-7", Name: "octo/world"}
	if diff := cmp.Diff([]api.Bound{want}, issued.Of); diff != "" || secret.Of == nil || *secret.Of != want {
		t.Errorf("made for %+v and %+v; want %+v", issued.Of, secret.Of, want)
	}

	first.Site.Rename("octo/planet")
	known.put(web.Known{Identity: "github-7", Name: "octo/planet"})
	known.put(web.Known{Identity: "github-8", Name: "octo/world"})
	r.front.Sites.Add(forged("github-8", "octo/world"))

	for path, want := range map[string]string{
		"octo/planet/info/refs": "github-7", "github-7/info/refs": "github-7", "octo/world/info/refs": "401", "github-8/info/refs": "401",
	} {
		if got := r.fetchKey(path, "ann", issued.Secret); got != want {
			t.Errorf("by the token, %s is answered by %s; want %s", path, got, want)
		}
	}
	for path, want := range map[string]string{"github-7/info/refs": "github-7", "octo/world/info/refs": "401", "github-8/info/refs": "401"} {
		if got := r.fetchKey(path, "attempt", "under way"); got != want {
			t.Errorf("by an attempt, %s is answered by %s; want %s", path, got, want)
		}
	}
	if status, body := r.ask(http.MethodGet, api.PathRepositories, issued.Secret, ""); body != `["octo/planet"]`+"\n" {
		t.Errorf("the token opens %d %s", status, body)
	}
	if status, _ := r.ask(http.MethodGet, api.PathBuilds+"?repository=octo/world", issued.Secret, ""); status != http.StatusNotFound {
		t.Errorf("the heir's builds are answered %d; want 404", status)
	}
	if _, err := r.front.Secrets.Find("github-8", "key"); err == nil {
		t.Error("the heir has the secret")
	}
	if e, err := r.front.Secrets.Find("github-7", "key"); err != nil || e.Repository != "github-7" {
		t.Errorf("the renamed one's secret is %+v, %v", e, err)
	}
	_, list := r.ask(http.MethodGet, api.PathSecrets, admin, "")
	var secrets []api.Secret
	if err := json.Unmarshal([]byte(list), &secrets); err != nil || len(secrets) != 1 {
		t.Fatalf("secrets are %s, %v", list, err)
	}
	want = api.Bound{Key: "github-7", Name: "octo/planet", Was: "octo/world"}
	if *secrets[0].Of != want || secrets[0].Repository != "octo/planet" {
		t.Errorf("the secret is listed as of %q, %+v; want %+v", secrets[0].Repository, secrets[0].Of, want)
	}
	if status, _ := r.ask(http.MethodDelete, api.PathSecrets+"/key?of=octo/world", admin, ""); status != http.StatusNotFound {
		t.Errorf("removed by the heir's name: %d", status)
	}
	if status, _ := r.ask(http.MethodDelete, api.PathSecrets+"/key?of=octo/planet", admin, ""); status != http.StatusNoContent {
		t.Errorf("not removed by its new name: %d", status)
	}
}

// Which repository is meant is not guessed.
func TestWhichRepositoryIsMeant(t *testing.T) {
	r, known := newRig(t), &register{all: []web.Known{
		{Identity: "github-7", Name: "octo/world"}, {Identity: "gitlab-7", Name: "octo/world"},
		{Identity: "github-8", Name: "octo/gone", State: "away"}, {Identity: "github-9", Name: "Octo/Hello", State: "archived"},
		{Identity: "github-10", Name: "shop"},
	}}
	r.front.Known = known.list
	admin, _ := r.token(roster.Admin)
	for name, want := range map[string]string{
		"octo/world": "409", "gitlab-7": "gitlab-7", "octo/gone": "404", "github-8": "github-8",
		"octo/hello": "github-9", "shop": "shop", "github-10": "github-10", "octo/none": "404", "github-11": "404",
	} {
		made, status := post[api.Issued](r, api.PathTokens, admin, api.Token{Name: "ann", Rights: "read", Repositories: []string{name}})
		got := fmt.Sprint(status)
		if status == http.StatusCreated {
			got = made.Of[0].Key
		}
		if got != want {
			t.Errorf("%s means %s; want %s", name, got, want)
		}
		set, status := post[api.Secret](r, api.PathSecrets, admin, api.SetSecret{Secret: api.Secret{Name: "key", Repository: name}, Value: []byte("canary-value")})
		if got = fmt.Sprint(status); status == http.StatusCreated {
			got = set.Of.Key
		}
		if got != want {
			t.Errorf("a secret of %s is of %s; want %s", name, got, want)
		}
	}
	// What was made for one that is not there any more is told as such, and can go.
	if _, err := r.front.Secrets.Put(t.Context(), seal.Entry{Name: "old", Repository: "closed"}, seal.NewSecret([]byte("canary-value"))); err != nil {
		t.Fatal(err)
	}
	if _, list := r.ask(http.MethodGet, api.PathSecrets, admin, ""); !json.Valid([]byte(list)) || !containsBound(t, list, api.Bound{Key: "closed", Name: "closed", State: "unknown"}) {
		t.Errorf("secrets are %s", list)
	}
	if status, _ := r.ask(http.MethodDelete, api.PathSecrets+"/old?of=closed", admin, ""); status != http.StatusNoContent {
		t.Errorf("not removed: %d", status)
	}
}

func containsBound(t *testing.T, list string, want api.Bound) bool {
	t.Helper()
	var all []api.Secret
	if err := json.Unmarshal([]byte(list), &all); err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(all, func(s api.Secret) bool { return s.Of != nil && *s.Of == want })
}

// Nobody can make a repository whose name leads builders of another one astray.
func TestIdentitiesComeBeforeNames(t *testing.T) {
	r := newRig(t)
	token, _ := r.token(roster.Read)
	r.front.Sites.Add(forged("github-8", "github-7/info"))
	r.front.Sites.Add(forged("github-7", "octo/world"))
	if got := r.fetchKey("github-7/info/refs", "ann", token); got != "github-7" {
		t.Errorf("answered by %s", got)
	}
	r.front.Sites.Add(forged("gitlab-1", "octo/world"))
	if got := r.fetchKey("octo/world/info/refs", "ann", token); got != "404" {
		t.Errorf("a name of two is answered by %s", got)
	}
	if status, _ := r.ask(http.MethodGet, api.PathBuilds+"?repository=octo/world", token, ""); status != http.StatusConflict {
		t.Errorf("a name of two is answered %d; want 409", status)
	}
}
