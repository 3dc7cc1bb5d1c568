package github

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/forge/forgetest"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/require"
)

// hello is the repository of GitHub's own examples.
var hello = forge.Repository{Key: forge.Key{Kind: forge.GitHub, ID: 1296269}, Installation: 1, Name: "octocat/Hello-World"}

// examples is an App that is answered with GitHub's own examples.
func examples(t *testing.T) *App {
	t.Helper()
	var all map[string]map[string]map[string]json.RawMessage
	read(t, filepath.Join(require.ForgeData(t), "openapi", "github-rest-examples.json"), &all)
	mux := http.NewServeMux()
	for operation, parts := range all {
		for part, bodies := range parts {
			word, code, _ := strings.Cut(part, " ")
			status, err := strconv.Atoi(code)
			if word != "response" || err != nil || operation == "POST /repos/{owner}/{repo}/check-suites" {
				continue // the last has two
			}
			for _, body := range bodies {
				answer := func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(status)
					_, _ = w.Write(body)
				}
				mux.HandleFunc(operation, answer)
				if operation == "GET /repos/{owner}/{repo}" {
					mux.HandleFunc("GET /repositories/{id}", answer)
				}
				break
			}
		}
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	hub, err := forgetest.NewGitHub(forgetest.GitHubOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hub.Close)
	key := hub.App(t)
	a, err := Open(Options{
		API: server.URL, AppID: 1, Key: []byte(key.PEM()), Transport: &http.Transport{}, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func TestGitHubsOwnExamplesAreRead(t *testing.T) {
	a := examples(t)
	ctx := t.Context()
	if all, err := a.Installations(ctx); err != nil || len(all) != 1 || all[0].ID != 1 || all[0].Account != "octocat" {
		t.Errorf("Installations = %+v, %v", all, err)
	}
	if all, err := a.Repositories(ctx); err != nil || len(all) != 1 || all[0].ID != hello.ID || all[0].DefaultBranch != "refs/heads/master" {
		t.Errorf("Repositories = %+v, %v", all, err)
	}
	if all, err := a.Pulls(ctx, hello); err != nil || len(all) != 1 || all[0].Number != 1347 || all[0].BaseRef != "refs/heads/master" {
		t.Errorf("Pulls = %+v, %v", all, err)
	}
	if p, err := a.Pull(ctx, hello, 1347); err != nil || p.Author.Login != "octocat" {
		t.Errorf("Pull = %+v, %v", p, err)
	}
	if ok, err := a.CanWrite(ctx, hello, forge.User{ID: 1, Login: "octocat"}); !ok || err != nil {
		t.Errorf("CanWrite = %v, %v", ok, err)
	}
	if c, err := a.Credential(ctx, hello); err != nil || c.Password() == "" {
		t.Errorf("Credential = %v, %v", c, err)
	}
	if h, err := a.Check(ctx); err != nil || h.Slug != "octoapp" {
		t.Errorf("Check = %+v, %v", h, err)
	}
	if address, err := a.HookAddress(ctx); err != nil || address == "" {
		t.Errorf("HookAddress = %q, %v", address, err)
	}
	if r, err := Convert(ctx, a.options, "c"); err != nil || r.ID != 1 {
		t.Errorf("Convert = %+v, %v", r, err)
	}
	if all, err := a.failed(ctx, time.Time{}); err != nil || len(all) != 0 { // all of theirs arrived, or are not for us
		t.Errorf("failed = %+v, %v", all, err)
	}
	c := forge.Check{Repository: hello, Commit: "ce587453ced02b1526dfb4cb910479d431683101", Name: "mighty_readme", External: "7"}
	if told, err := a.Post(ctx, c, forge.Told{}); err != nil || told.ID == 0 {
		t.Errorf("Post = %+v, %v", told, err)
	}
}

func TestRecordedPullRequestsAreRead(t *testing.T) {
	folder := filepath.Join(require.ForgeData(t), "rest", "github")
	for name, fork := range map[string]bool{"pull--head-repo-null.json": true, "pull--open-from-fork.json": true, "goscm-pr.json": false} {
		var p pull
		read(t, filepath.Join(folder, name), &p)
		got, err := p.known(forge.Repository{Key: forge.Key{ID: p.Base.Repo.ID}})
		if err != nil || got.Fork != fork || got.Head == "" || got.Head.Zero() || !strings.HasPrefix(got.BaseRef, plan.BranchPrefix) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for _, name := range []string{"pulls-list--head-repo-null.json", "goscm-pulls.json"} {
		var all []pull
		read(t, filepath.Join(folder, name), &all)
		for _, p := range all {
			if got, err := p.known(forge.Repository{Key: forge.Key{ID: p.Base.Repo.ID}}); err != nil {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
	}
}
