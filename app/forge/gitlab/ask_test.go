package gitlab

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/forge/forgetest"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

func TestProjects(t *testing.T) {
	s := newStage(t, 1)
	for i := range 3 {
		p := s.lab.CreateProject(t, fmt.Sprintf("many/p%d", i), forgetest.ProjectOptions{})
		p.Member("velocity", 40, time.Time{})
	}
	s.lab.CreateProject(t, "other/public", forgetest.ProjectOptions{})
	guest := s.lab.CreateProject(t, "other/guest", forgetest.ProjectOptions{})
	guest.Member("velocity", 20, time.Time{})
	all, err := s.gitlab.Projects(t.Context())
	if err != nil || len(all) != 4 {
		t.Fatalf("%d projects, %v; want 4", len(all), err)
	}
	first := forge.Repository{
		Key: forge.Key{Kind: forge.GitLab, ID: s.there.ID()}, Name: "acme/tools/anvil", DefaultBranch: "refs/heads/main",
		Clone: s.there.CloneURL(), Page: s.lab.URL() + "/acme/tools/anvil",
	}
	if diff := cmp.Diff(first, all[0]); diff != "" {
		t.Errorf("project (-want +got):\n%s", diff)
	}
	if last := all[3]; !last.Public || last.DefaultBranch != "" {
		t.Errorf("an empty public project is %+v", last)
	}
}

func TestProjectIsFoundByItsNumber(t *testing.T) {
	s := newStage(t, 1)
	s.there.Rename("hammer")
	s.there.Transfer("emca")
	s.there.Archive()
	r, err := s.gitlab.Project(t.Context(), s.there.ID())
	if err != nil || r.Name != "emca/hammer" || !r.Archived {
		t.Errorf("%+v, %v", r, err)
	}
	other := s.lab.CreateProject(t, "other/r", forgetest.ProjectOptions{Private: true})
	_, err = s.gitlab.Project(t.Context(), other.ID())
	wantKind(t, "a project that is not shown to us", err, forge.ErrGone)
	s.there.Delete()
	_, err = s.gitlab.Project(t.Context(), s.there.ID())
	wantKind(t, "a project that is gone", err, forge.ErrGone)
}

func TestPulls(t *testing.T) {
	s := newStage(t, 1)
	for _, branch := range []string{"one", "two"} {
		s.there.Push(t, branch, forgetest.Change{Files: map[string]string{branch: "x"}})
	}
	first := s.there.OpenMerge(t, forgetest.MergeOptions{Branch: "one", Author: "wile", Draft: true})
	first.Label("wile", "ci")
	fork, second := s.fork(t)
	s.there.OpenMerge(t, forgetest.MergeOptions{Branch: "two"}).Close("wile")
	pulls, err := s.gitlab.Pulls(t.Context(), s.project)
	if err != nil || len(pulls) != 2 {
		t.Fatalf("%+v, %v; want the two open ones", pulls, err)
	}
	want := forge.Pull{
		Number: first.Number(), Head: plan.Commit(first.Head()), HeadRef: "refs/heads/one", BaseRef: "refs/heads/main",
		Author: forge.User{ID: s.lab.User("wile"), Login: "wile"}, Labels: []string{"ci"}, Draft: true, Open: true,
		Modified: pulls[0].Modified,
	}
	if diff := cmp.Diff(want, pulls[0]); diff != "" || want.Modified.IsZero() {
		t.Errorf("merge request (-want +got):\n%s", diff)
	}
	if p := pulls[1]; p.Number != second.Number() || !p.Fork || p.Draft {
		t.Errorf("merge request of a fork is %+v", p)
	}
	fork.Delete()
	p, err := s.gitlab.Pull(t.Context(), s.project, second.Number())
	if err != nil || !p.Fork || !p.Open {
		t.Errorf("merge request of a fork that is gone is %+v, %v", p, err)
	}
	p, err = s.gitlab.Pull(t.Context(), s.project, 3)
	if err != nil || p.Open || p.Fork {
		t.Errorf("the closed one is %+v, %v", p, err)
	}
	_, err = s.gitlab.Pull(t.Context(), s.project, 4)
	wantKind(t, "a merge request that is none", err, forge.ErrGone)
}

func TestBotsAreKnownByTheirNames(t *testing.T) {
	for login, want := range map[string]bool{
		"project_12_bot_0a1b2c3d4e5f": true, "group_9_bot_ff": true, "project_1_bot": true, "project_1_bot2": true,
		"robot": false, "my_project_1_bot": false, "project_1_bottom": false,
	} {
		if got := (user{Login: login}).known().Bot; got != want {
			t.Errorf("%s is a bot: %v", login, got)
		}
	}
}

func TestCanWrite(t *testing.T) {
	s := newStage(t, 1)
	now := s.lab.Clock.Now()
	s.there.Member("guest", 10, time.Time{})
	s.there.Member("reporter", 20, time.Time{})
	s.there.Member("developer", 30, time.Time{})
	s.there.Member("past", 40, now.AddDate(0, 0, -1))
	s.there.Member("future", 40, now.AddDate(0, 0, 3))
	s.there.Member("blocked", 50, time.Time{})
	s.lab.Block("blocked")
	s.lab.User("nobody")
	for login, want := range map[string]bool{
		"guest": false, "reporter": false, "developer": true, "past": false, "future": true, "blocked": false, "nobody": false,
	} {
		got, err := s.gitlab.CanWrite(t.Context(), s.project, forge.User{ID: s.lab.User(login), Login: "developer"})
		if err != nil || got != want {
			t.Errorf("%s can write: %v, %v", login, got, err)
		}
	}
	n := s.calls(func() {
		if got, err := s.gitlab.CanWrite(t.Context(), s.project, forge.User{Login: "developer"}); got || err != nil {
			t.Errorf("somebody without a number can write: %v, %v", got, err)
		}
	})
	if len(n) != 0 {
		t.Errorf("asked of nobody: %v", n)
	}
	s.there.Delete()
	_, err := s.gitlab.CanWrite(t.Context(), s.project, forge.User{ID: s.lab.User("developer")})
	wantKind(t, "in a project that is gone", err, forge.ErrGone)
}

func TestCheckOfTheToken(t *testing.T) {
	s := newStage(t, 1)
	h, err := s.gitlab.Check(t.Context())
	if err != nil || h.User != s.lab.User("velocity") || h.Version == "" || h.Missing != nil || h.Soon || !h.Expires.IsZero() {
		t.Errorf("a good token is %+v, %v", h, err)
	}
	today := s.lab.Clock.Now().Truncate(24 * time.Hour)
	s.token.Expire(today.AddDate(0, 0, 29))
	if h, err = s.gitlab.Check(t.Context()); err != nil || !h.Soon || !h.Expires.Equal(today.AddDate(0, 0, 29)) {
		t.Errorf("one that expires soon is %+v, %v", h, err)
	}
	s.token.Expire(today.AddDate(0, 0, 40))
	if h, err = s.gitlab.Check(t.Context()); err != nil || h.Soon {
		t.Errorf("one that expires later is %+v, %v", h, err)
	}
	s.token.Expire(today)
	_, err = s.gitlab.Check(t.Context())
	wantKind(t, "one that has expired", err, forge.ErrForbidden)
	s.token = s.lab.Token("velocity", "read_api")
	if h, err = s.open(t).Check(t.Context()); err != nil || !cmp.Equal(h.Missing, []string{"api"}) {
		t.Errorf("one that may only read is %+v, %v", h, err)
	}
}

func TestCredential(t *testing.T) {
	s := newStage(t, 1)
	fetch := s.lab.Token("velocity", "read_repository")
	for token, g := range map[string]*GitLab{
		s.token.Value: s.gitlab,
		fetch.Value:   s.open(t, func(o *Options) { o.FetchToken = NewToken(fetch.Value) }),
	} {
		c, err := g.Credential(t.Context(), s.project)
		if err != nil || c.User != "oauth2" || c.Password() != token || c.Close(t.Context()) != nil {
			t.Fatalf("%s of %s, %v", c.Password(), c.User, err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.project.Clone+"/info/refs?service=git-upload-pack", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(c.User, c.Password())
		resp, err := g.options.Transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("fetching: %s", resp.Status)
		}
	}
}

func TestTokensAreNotPrinted(t *testing.T) {
	s := newStage(t, 1)
	secret := s.token.Value
	o := s.gitlab.options
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "token", o.Token)
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "options", struct{ Token Token }{o.Token})
	asJSON, err := json.Marshal(map[string]Token{"token": o.Token})
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{fmt.Sprint(o.Token), fmt.Sprintf("%+v %#v %x %q %s", o, o, o.Token, o.Token, o.Token), logged.String(), string(asJSON)}
	s.token.Revoke()
	_, err = s.gitlab.Projects(t.Context())
	wantKind(t, "with a revoked token", err, forge.ErrForbidden)
	texts = append(texts, err.Error())
	s.lab.Close() // nobody listens any more
	_, err = s.gitlab.Projects(t.Context())
	texts = append(texts, err.Error())
	for _, bad := range []string{secret + "\n", "with space " + secret, secret + "é"} {
		_, err := Open(Options{Token: NewToken(bad), Transport: o.Transport})
		if err == nil {
			t.Errorf("a token that is none is taken")
			continue
		}
		texts = append(texts, err.Error())
	}
	for _, text := range texts {
		if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
			t.Errorf("the token is in %q", text)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	tr := &http.Transport{}
	for name, o := range map[string]Options{
		"no token":      {Transport: tr},
		"no transport":  {Token: NewToken("t")},
		"no host":       {Token: NewToken("t"), Transport: tr, URL: "gitlab.com"},
		"odd scheme":    {Token: NewToken("t"), Transport: tr, URL: "file:///etc"},
		"a password":    {Token: NewToken("t"), Transport: tr, URL: "https://me:secret@gitlab.com"},
		"odd password":  {Token: NewToken("t"), Transport: tr, URL: "https://me:secret%zz@gitlab.com"},
		"a query":       {Token: NewToken("t"), Transport: tr, URL: "https://gitlab.com?private_token=secret"},
		"fetch is none": {Token: NewToken("t"), FetchToken: NewToken("a b"), Transport: tr},
	} {
		_, err := Open(o)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, address := range []string{"", "https://example.com/", "https://example.com/lab/", "https://example.com/api/v4"} {
		if _, err := Open(Options{Token: NewToken("t"), Transport: tr, URL: address}); err != nil {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestLimitsCloseTheGate(t *testing.T) {
	s := newStage(t, 1)
	for _, m := range forgetest.Limits {
		s.faults.Inject(func(*http.Request) bool { return true }, m)
		asked := s.lab.Clock.Now()
		_, err := s.gitlab.Project(t.Context(), s.project.ID)
		var limit *forge.LimitError
		if !errors.As(err, &limit) {
			t.Fatalf("%+v: %v", m, err)
		}
		want := time.Minute
		if m.Exhausted {
			want = 40 * time.Second
		}
		// A header has whole seconds, and asking took some time, too.
		if wait := limit.Until.Sub(asked); wait < want-time.Second || limit.Until.After(s.lab.Clock.Now().Add(want)) {
			t.Errorf("%+v: to wait %s; want %s", m, wait, want)
		}
		n := s.calls(func() { _, err = s.gitlab.Project(t.Context(), s.project.ID) })
		if len(n) != 0 || !errors.As(err, &limit) {
			t.Errorf("while it is limited: %v, %v", n, err)
		}
		s.lab.Clock.Advance(limit.Until.Sub(s.lab.Clock.Now()) + time.Second)
		if _, err := s.gitlab.Project(t.Context(), s.project.ID); err != nil {
			t.Errorf("after it: %v", err)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	asked := 0
	elsewhere := transport(func(r *http.Request) (*http.Response, error) {
		asked++
		return &http.Response{
			StatusCode: http.StatusFound, Header: http.Header{"Location": {"https://evil.example.com/"}}, Body: http.NoBody, Request: r,
		}, nil
	})
	g, err := Open(Options{URL: "http://gitlab.example.com", Token: NewToken("t"), Transport: elsewhere, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Project(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "https") || asked != 1 {
		t.Errorf("%v after %d requests", err, asked)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestSaid(t *testing.T) {
	for body, want := range map[string]string{
		`{"message":"403 Forbidden"}`:                                    "403 Forbidden",
		`{"message":{"name":["is too long","is odd"],"ref":"x"}}`:        "name is too long, is odd, ref x",
		`{"error":"insufficient_scope","error_description":"more: api"}`: "insufficient_scope: more: api",
		`<html>glpat-0123456789</html>`:                                  "",
		`{"message":"of glpat-0123456789abc"}`:                           "of ***",
	} {
		if got := said([]byte(body)); got != want {
			t.Errorf("said(%s) = %q; want %q", body, got, want)
		}
	}
}
