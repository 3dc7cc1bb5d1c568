package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/forge/gitlab"
)

// fakeHooks takes down what GitLab is asked for.
type fakeHooks struct {
	asked []string
	err   error
}

func (f *fakeHooks) Project(_ context.Context, id int64) (forge.Repository, error) {
	return forge.Repository{Key: forge.Key{Kind: forge.GitLab, ID: id}, Name: fmt.Sprint("by/number-", id)}, nil
}

func (f *fakeHooks) Projects(context.Context) ([]forge.Repository, error) {
	return []forge.Repository{{Key: forge.Key{Kind: forge.GitLab, ID: 42}, Name: "Group/sub/name"}}, nil
}

func (f *fakeHooks) ConnectProject(_ context.Context, project int64, address, secret string, events []gitlab.Events) (gitlab.Hook, error) {
	f.asked = append(f.asked, fmt.Sprint(project, " ", address, " ", secret, " ", len(events)))
	return gitlab.Hook{ID: 5, URL: address}, f.err
}

func (f *fakeHooks) ConnectSystem(_ context.Context, address, secret string, events []gitlab.Events) (gitlab.Hook, error) {
	f.asked = append(f.asked, fmt.Sprint("system ", address, " ", secret, " ", len(events)))
	return gitlab.Hook{ID: 6, URL: address}, f.err
}

func TestGitLabConnect(t *testing.T) {
	out := &bytes.Buffer{}
	c := &cli{Streams: Streams{Out: out, Err: io.Discard}}
	const address = "https://ci.example.com/hooks/gitlab"
	for _, tt := range []struct {
		project     []string
		asked, said string
	}{
		{[]string{"7"}, "7 " + address + " s3cret 4", "for by/number-7 (webhook 5)"},
		{[]string{"group/sub/NAME"}, "42 " + address + " s3cret 4", "for Group/sub/name (webhook 5)"},
		{nil, "system " + address + " s3cret 4", "for all projects (system hook 6)"},
	} {
		f := &fakeHooks{}
		out.Reset()
		if err := c.makeHook(t.Context(), f, address, "s3cret", tt.project); err != nil {
			t.Errorf("%v: %v", tt.project, err)
		}
		if got := strings.Join(f.asked, "\n"); got != tt.asked {
			t.Errorf("%v: asked %q; want %q", tt.project, got, tt.asked)
		}
		if got := out.String(); !strings.Contains(got, tt.said) || strings.Contains(got, "s3cret") {
			t.Errorf("%v: said %q", tt.project, got)
		}
	}
	f := &fakeHooks{}
	if err := c.makeHook(t.Context(), f, address, "s3cret", []string{"group/other"}); !errors.Is(err, forge.ErrGone) || len(f.asked) > 0 {
		t.Errorf("a project that is not there: %v, asked %q", err, f.asked)
	}
	f.err = forge.ErrForbidden
	var fail *failure
	if err := c.makeHook(t.Context(), f, address, "s3cret", nil); !errors.As(err, &fail) || fail.status != statusProblem {
		t.Errorf("without the right: %v", err)
	}
}

// What is missing is said before anybody is asked.
func TestGitLabConnectNeeds(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("new-one\nold-one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &cli{env: map[string]string{"VELOCITY_TOKEN_OF_LAB": "glpat-x"}}
	conf := func(change func(*serverConfig)) *serverConfig {
		s := &serverConfig{URL: "https://ci.example.com/"}
		s.GitLab = gitlabConfig{URL: "https://gitlab.com", Token: "env:VELOCITY_TOKEN_OF_LAB", Secret: secretSource(secret)}
		change(s)
		return s
	}
	address, first, err := c.hookOfGitLab(conf(func(*serverConfig) {}))
	if address != "https://ci.example.com/hooks/gitlab" || first != "new-one" || err != nil {
		t.Errorf("the webhook is %q, %q, %v", address, first, err)
	}
	if _, err := c.openGitLab(conf(func(*serverConfig) {}), silent()); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*serverConfig){
		"gitlab.url":            func(s *serverConfig) { s.GitLab = gitlabConfig{} },
		"no url":                func(s *serverConfig) { s.URL = "" },
		"gitlab.token is":       func(s *serverConfig) { s.GitLab.Token = "" },
		"gitlab.secret is":      func(s *serverConfig) { s.GitLab.Secret, s.GitLab.Signing = "", secretSource(secret) },
		"webhooks of anybody":   func(s *serverConfig) { s.GitLab.Secret = "" },
		"is not https":          func(s *serverConfig) { s.GitLab.URL = "http://gitlab.example.com" },
		"there is no secret in": func(s *serverConfig) { s.GitLab.Secret = "env:VELOCITY_NOT_SET" },
		"no such file":          func(s *serverConfig) { s.GitLab.Secret = secretSource(filepath.Join(dir, "gone")) },
	} {
		if _, _, err := c.hookOfGitLab(conf(change)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("hookOfGitLab = %v; want %q", err, want)
		}
	}
}
