package web_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/roster"
)

// A trunk is a repository whose default branch is that.
type trunk struct{ architect.Repository }

func (trunk) Head(context.Context) (string, error) { return "refs/heads/trunk", nil }

// made is a build of a pipeline at a commit, which is over if it is not building.
func made(number int64, name string, commit byte, state build.State) *build.Build {
	b := &build.Build{
		Request: build.Request{
			ID: build.ID{Store: "cccccc", Number: number}, Name: name, Kind: plan.OfPipeline,
			Trigger: plan.Trigger{Event: plan.EventPush, Ref: "refs/heads/trunk", Commit: plan.Commit(strings.Repeat(string(commit), 40))},
		},
		Created: noon, Started: noon,
		Stages: []build.Stage{{Name: "s", Tasks: []build.Task{{Key: "s0t0", Name: "test", State: state, Attempt: 1}}}},
	}
	if state.Final() {
		b.Finished = noon
	}
	return b
}

// shows adds a repository of a forge with builds, which everybody may read if it is
// public. What was asked of it is noted.
func (r *rig) shows(name string, public bool, builds ...*build.Build) *[]api.Query {
	asked := &[]api.Query{}
	r.front.Sites.Add(&web.Server{
		Site: &architect.Site{Name: name, Repo: trunk{}}, Log: slog.New(slog.DiscardHandler),
		Reads: func(_ context.Context, token string) (bool, error) { return public && token == "", nil },
		Builds: func(_ context.Context, q api.Query) ([]*build.Build, error) {
			*asked = append(*asked, q)
			if q.Ref == "broken" {
				return nil, errors.New("the disk is gone")
			}
			return builds, nil
		},
	})
	return asked
}

// open asks for something and returns the answer with its body read.
func (r *rig) open(path string, with func(*http.Request)) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.url+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if with != nil {
		with(req)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp, string(text)
}

// The badge says how the newest commit's builds stand.
func TestBadgeStands(t *testing.T) {
	const good, bad, busy = build.Succeeded, build.Failed, build.Building
	canceled, local, single := made(9, "default", 'b', bad), made(9, "default", 'b', bad), made(9, "lint", 'b', bad)
	canceled.Canceled, local.Trigger.Event, single.Kind = "superseded", plan.EventLocal, plan.OfBlueprint
	for says, c := range map[string]struct {
		query  string
		builds []*build.Build
		want   string
	}{
		"nothing built":                        {"", nil, "unknown"},
		"good":                                 {"", []*build.Build{made(2, "default", 'a', good)}, "passing"},
		"an earlier commit does not count":     {"", []*build.Build{made(2, "default", 'b', good), made(1, "default", 'a', bad)}, "passing"},
		"under way":                            {"", []*build.Build{made(2, "default", 'b', busy), made(1, "default", 'a', good)}, "building"},
		"the worst of several pipelines":       {"", []*build.Build{made(3, "default", 'b', good), made(2, "docs", 'b', bad)}, "failing"},
		"one failed, one is under way":         {"", []*build.Build{made(3, "default", 'b', busy), made(2, "docs", 'b', bad)}, "failing"},
		"built again":                          {"", []*build.Build{made(3, "default", 'b', good), made(2, "default", 'b', bad)}, "passing"},
		"one that was canceled says nothing":   {"", []*build.Build{canceled, made(2, "default", 'a', good)}, "passing"},
		"a build of somebody's own machine":    {"", []*build.Build{local, made(2, "default", 'a', good)}, "passing"},
		"a single blueprint":                   {"", []*build.Build{single, made(2, "default", 'a', good)}, "passing"},
		"a single blueprint that is asked for": {"?pipeline=lint", []*build.Build{single}, "failing"},
		"what cannot be read":                  {"?branch=broken", []*build.Build{made(2, "default", 'a', good)}, "unknown"},
	} {
		r := newRig(t)
		r.shows("octo/world", true, c.builds...)
		if resp, text := r.open("/badge/octo/world.svg"+c.query, nil); resp.StatusCode != http.StatusOK || !strings.Contains(text, c.want+"</title>") {
			t.Errorf("%s: %d %s; want %s", says, resp.StatusCode, text, c.want)
		}
	}
}

// What is asked for is the branch and the pipeline that the address names.
func TestBadgeAsks(t *testing.T) {
	r := newRig(t)
	asked := r.shows("octo/world.svg", true)
	for _, query := range []string{"", "?branch=v%2F2", "?pipeline=docs&branch=main"} {
		if resp, text := r.open("/badge/octo/world.svg.svg"+query, nil); resp.StatusCode != http.StatusOK || strings.Contains(text, "docs:") != strings.Contains(query, "docs") {
			t.Errorf("%q: %d %s", query, resp.StatusCode, text)
		}
	}
	want := []api.Query{{Ref: "refs/heads/trunk", Limit: "20"}, {Ref: "v/2", Limit: "20"}, {Ref: "main", Name: "docs", Limit: "20"}}
	if diff := cmp.Diff(want, *asked); diff != "" {
		t.Errorf("asked (+), want (-):\n%s", diff)
	}
	if resp, _ := r.open("/badge/octo/world", nil); resp.StatusCode != http.StatusNotFound {
		t.Errorf("without an ending: %d", resp.StatusCode)
	}
}

// Who may not read a repository cannot tell it from one that is not there, by
// nothing in the answer.
func TestBadgeTellsNothing(t *testing.T) {
	r := newRig(t)
	r.shows("octo/secret", false, made(2, "default", 'a', build.Failed))
	r.shows("octo/twice", false, made(2, "default", 'a', build.Failed))
	r.shows("octo/twice", false, made(2, "default", 'a', build.Failed))
	reads, _ := r.token(roster.Read)
	other, _ := r.token(roster.Read, "bank")
	bearer := func(secret string) func(*http.Request) {
		return func(req *http.Request) { req.Header.Set("Authorization", "Bearer "+secret) }
	}
	password := func(secret string) func(*http.Request) {
		return func(req *http.Request) { req.SetBasicAuth("anybody", secret) }
	}
	for who, with := range map[string]func(*http.Request){
		"nobody": nil, "another's": bearer(other), "another's as password": password(other), "nonsense": password("x"),
		"of another forge": password("ghp_x"),
	} {
		none, text := r.open("/badge/octo/none.svg", with)
		none.Header.Del("Date")
		for _, name := range []string{"octo/secret", "octo/twice", "shop"} {
			resp, secret := r.open("/badge/"+name+".svg", with)
			resp.Header.Del("Date")
			if diff := cmp.Diff(none.Header, resp.Header); diff != "" || resp.StatusCode != none.StatusCode || secret != text || !strings.Contains(text, "unknown") {
				t.Errorf("%s as %s: %d %s %s; want the answer that there is for none", name, who, resp.StatusCode, secret, diff)
			}
		}
	}
	for who, with := range map[string]func(*http.Request){
		"a reader": bearer(reads), "a reader by password": password(reads), "a reader by session": func(req *http.Request) { req.AddCookie(r.signIn(reads)) },
	} {
		resp, text := r.open("/badge/octo/secret.svg", with)
		if !strings.Contains(text, "failing") || resp.Header.Get("Cache-Control") != "private, max-age=60" {
			t.Errorf("as %s: %v %s", who, resp.Header, text)
		}
	}
}

// Caches may keep it for a moment, and need not be sent it again while it says the
// same. Nothing in it can do anything.
func TestBadgeHeaders(t *testing.T) {
	r := newRig(t)
	r.shows("octo/world", true, made(2, "default", 'a', build.Succeeded))
	const path = "/badge/octo/world.svg?pipeline=%3Cscript%3Ealert(1)%3C/script%3E"
	resp, text := r.open(path, nil)
	for name, want := range map[string]string{
		"Content-Type": "image/svg+xml", "Cache-Control": "public, max-age=60", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox",
		"Vary": "Authorization, Cookie",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s is %q; want %q", name, got, want)
		}
	}
	if strings.Contains(text, "<script") || !strings.Contains(text, "&lt;script&gt;") {
		t.Errorf("the badge is %s", text)
	}
	same := func(req *http.Request) { req.Header.Set("If-None-Match", resp.Header.Get("ETag")) }
	if again, text := r.open(path, same); again.StatusCode != http.StatusNotModified || text != "" {
		t.Errorf("asked again: %d %s", again.StatusCode, text)
	}
	if other, _ := r.open("/badge/octo/world.svg?branch=broken", same); other.StatusCode != http.StatusOK {
		t.Errorf("another badge: %d", other.StatusCode)
	}
}
