package app

import (
	"bytes"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
	"github.com/velocity-ci/velocity/app/forge/github"
)

// What keeps the App from working is said once, and again after it was gone.
func TestAppHealthIsSaidOnce(t *testing.T) {
	events := []string{"push", "pull_request", "merge_group", "issue_comment", "repository"}
	fake, err := forgetest.NewGitHub(forgetest.GitHubOptions{
		Dir: t.TempDir(), Events: events,
		Permissions: map[string]string{"metadata": "read", "contents": "read", "statuses": "write", "pull_requests": "read", "issues": "read"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	now := time.Now
	api, err := github.APIOf(fake.URL())
	if err != nil {
		t.Fatal(err)
	}
	made := fake.App(t)
	app, err := github.Open(github.Options{
		API: api, AppID: made.ID, Key: []byte(made.PEM()), Transport: forgeTransport(), Log: silent(),
		Now: func() time.Time { return now() },
	})
	if err != nil {
		t.Fatal(err)
	}
	said := &bytes.Buffer{}
	f := &forges{s: &service{log: slog.New(slog.NewTextHandler(said, nil))}}
	f.examine(t.Context()) // there is no App yet
	f.hub.Store(&hub{app: app})
	says := func(when string, want ...string) {
		t.Helper()
		said.Reset()
		f.examine(t.Context())
		for _, text := range want {
			if !strings.Contains(said.String(), text) {
				t.Errorf("%s: nothing says %s:\n%s", when, text, said)
			}
		}
		if n := strings.Count(said.String(), "\n"); n != len(want) {
			t.Errorf("%s: %d lines; want %d:\n%s", when, n, len(want), said)
		}
	}
	says("at first", "level=WARN msg=\"the GitHub App lacks something\" of=\"the App\" needed=checks", "level=INFO msg=\"the GitHub App lacks something\" of=\"the App\" needed=merge_queues")
	says("again")
	now = func() time.Time { return time.Now().Add(-10 * time.Minute) } // GitHub may refuse us for it, too
	says("with a slow clock", "the clock differs from GitHub's\" ahead=-")
	if !regexp.MustCompile(`ahead=-(9m5\ds|10m\ds)\n`).MatchString(said.String()) { // dates are of whole seconds, and on their way
		t.Errorf("a clock that is ten minutes late: %s", said)
	}
	says("with a slow clock still")
	now = time.Now
	says("on time")
	now = func() time.Time { return time.Now().Add(-10 * time.Minute) }
	says("with a slow clock again", "the clock differs from GitHub's")
}
