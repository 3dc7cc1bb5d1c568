package app_test

import (
	"strings"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
)

// What people have to mend at GitLab is said when the server starts, once, and does not
// keep it from starting.
func TestGitLabHealth(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*village)
		want  []string
	}{
		"scope":  {func(w *village) { w.token = w.lab.Token("velocity", "read_api") }, []string{"level=ERROR", "lacks scopes", "needed=[api]"}},
		"expiry": {func(w *village) { w.token.Expire(time.Now().AddDate(0, 0, 20)) }, []string{"level=WARN", "expires soon: rotate it"}},
		"end":    {func(w *village) { w.token.Revoke() }, []string{"level=ERROR", "see gitlab.url and gitlab.token", "make a new one"}},
		"address": {func(w *village) {
			w.keep("server.yml", strings.Replace(w.read("server.yml"), w.lab.URL(), w.lab.URL()+"/lab", 1))
		},
			[]string{"level=ERROR", "see gitlab.url and gitlab.token", "404"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := foundVillage(t, forgetest.GitLabOptions{})
			w.settle()
			c.spoil(w)
			w.keep("token", w.token.Value)
			w.boot()
			w.says(c.want...)
			if strings.Contains(w.said.text(), w.token.Value) {
				t.Error("it says the token")
			}
		})
	}
}

// A webhook that GitLab has given up is named, with the way out, which is one.
func TestGitLabWebhookGivenUp(t *testing.T) {
	w := newVillage(t, forgetest.GitLabOptions{})
	w.stop()
	for range 5 { // nobody answers
		w.push("main", files{"a": time.Now().String()})
		if err := w.lab.Hooks.Settle(atHome(t)); err != nil {
			t.Fatal(err)
		}
	}
	w.serve()
	w.says("level=WARN", "GitLab does not call a webhook", "repo=group/world")
	w.connect("group/world")
	if h := w.lab.AllHooks(w.project); len(h) != 1 || h[0].Alert != "executable" {
		t.Errorf("the webhooks are %+v; want one that is called", h)
	}
}
