package forgetest

import (
	"context"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-github/v62/github"
)

func TestGitFetchesWithAToken(t *testing.T) {
	t.Parallel()
	g, r, in, sha := yard(t, GitHubOptions{})
	public := g.CreateRepo(t, "octo/open", RepoOptions{})
	public.Push(t, "main", Change{Files: map[string]string{"a": "1"}})
	app := asApp(t, g)
	ctx := within(t)
	tokenFor := func(id int64, permissions *github.InstallationPermissions) string {
		tok, _, err := app.Apps.CreateInstallationToken(ctx, in.ID(), &github.InstallationTokenOptions{RepositoryIDs: []int64{id}, Permissions: permissions})
		if err != nil {
			t.Fatal(err)
		}
		return tok.GetToken()
	}
	contents := &github.InstallationPermissions{Contents: github.String("read")}
	good := tokenFor(r.ID(), contents)
	for _, c := range []struct {
		name  string
		repo  *Repo
		token string
		want  bool
	}{
		{"the token for it", r, good, true},
		{"the token of another", r, tokenFor(public.ID(), contents), false},
		{"a token for other things", r, tokenFor(r.ID(), &github.InstallationPermissions{Checks: github.String("write")}), false},
		{"a wrong one", r, "ghs_1_x", false},
		{"none", r, "", false},
		{"none, of a public one", public, "", true},
		{"a wrong one, of a public one", public, "ghs_1_x", false},
	} {
		out, err := lsRemote(ctx, c.repo.CloneURL(), c.token)
		if (err == nil) != c.want {
			t.Errorf("%s: %v: %s", c.name, err, out)
		}
	}
	old := r.CloneURL()
	r.Rename("renamed")
	out, err := lsRemote(ctx, old, good)
	if err != nil || !strings.Contains(out, sha) {
		t.Errorf("by its old name: %v: %s", err, out)
	}
}

// lsRemote lists the refs of a repository.
func lsRemote(ctx context.Context, address, token string) (string, error) {
	args := []string{"ls-remote", address}
	if token != "" {
		args = []string{"-c", "http.extraHeader=" + basic("x-access-token", token), "ls-remote", address}
	}
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Env = append(environment(), "GIT_TERMINAL_PROMPT=0")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// basic is a header of a user and a password.
func basic(user, password string) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return "Authorization: " + r.Header.Get("Authorization")
}
