package app

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestForgeConfigCheck(t *testing.T) {
	for text, want := range map[string]string{
		"listen: 127.0.0.1:1\ngithub: {app: 7, key: k, secret: s}":                                   "",
		"listen: 127.0.0.1:1\ngithub: {app: 7, key: k, secret: s, repositories: [a/*, '!a/b']}":      "",
		"listen: 127.0.0.1:1\ngithub: {url: 'http://127.0.0.1:3', app: 7, key: k, secret: s}":        "",
		"listen: 127.0.0.1:1\ngitlab: {url: 'https://h/lab', token: t, signing: 'env:VELOCITY_SIG'}": "",
		"github: {url: 'https://ghe.example.com'}":                                                   "",
		"github: {app: 7, key: k, secret: s}":                                                        "that listens",
		"gitlab: {url: 'https://h', token: t, secret: s}":                                            "that listens",
		"github: {app: 7, key: k}":                                                                   "go together",
		"github: {key: k}":                                                                           "github.app is missing",
		"github: {secret: s}":                                                                        "github.app is missing",
		"github: {url: 'http://example.com'}":                                                        "not https",
		"github: {url: 'https://example.com/x'}":                                                     "has a path",
		"github: {url: 'https://user:pw@example.com'}":                                               "no address of a forge",
		"github: {url: '--upload-pack=x'}":                                                           "no address of a forge",
		"github: {repositories: ['[']}":                                                              "no pattern",
		"listen: 127.0.0.1:1\nurl: http://127.0.0.1:1\ngithub: {app: 7, key: k, secret: s, oauth: {id: i, secret: c}}": "",
		"listen: 127.0.0.1:1\ngithub: {app: 7, key: k, secret: s, oauth: {id: i, secret: c}}":                          "url is missing",
		"github: {app: 7, key: k, secret: s, oauth: {id: i}}":                                                          "github.oauth.id and github.oauth.secret go together",
		"github: {oauth: {id: i, secret: c}}":                                                                          "github.app is missing",
		"gitlab: {oauth: {id: i, secret: c}}":                                                                          "gitlab.url is missing",
		"gitlab: {url: 'https://h', token: t, secret: s, oauth: {secret: c}}":                                          "gitlab.oauth.id and gitlab.oauth.secret go together",
		"admins: [ann]":                         "nobody",
		"admins: ['github/']":                   "nobody",
		"admins: ['svn/ann']":                   "nobody",
		"admins: ['github/a b']":                "nobody",
		"admins: ['gitlab/a/b']":                "nobody",
		"admins: [gitlab/7]":                    "",
		"gitlab: {token: t}":                    "gitlab.url is missing",
		"gitlab: {url: 'https://h', secret: s}": "gitlab.token is missing",
		"gitlab: {url: 'https://h', token: t}":  "webhooks of anybody",
	} {
		var s serverConfig
		s.GitHub.URL = "https://github.com"
		err := parseConfig("c.yml", []byte(text), &s)
		if err == nil {
			err = s.check()
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v; want %q", text, err, want)
		}
	}
	for _, text := range []string{"poll: 3s", "poll: -5m", "poll: x", "bots: ['a b']x", "github: {secret: 'env:HOME'}", "builder: {embedded: maybe}"} {
		if err := parseConfig("c.yml", []byte(text), &serverConfig{}); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}

// What a variable is named in a file is no path.
func TestForgeConfigSources(t *testing.T) {
	dir := t.TempDir()
	var s serverConfig
	if err := parseConfig(filepath.Join(dir, "c.yml"), []byte("github: {key: k.pem, secret: 'env:VELOCITY_HOOK'}\ngitlab: {token: t}\n"), &s); err != nil {
		t.Fatal(err)
	}
	if s.GitHub.Key != filepath.Join(dir, "k.pem") || s.GitHub.Secret != "env:VELOCITY_HOOK" || string(s.GitLab.Token) != filepath.Join(dir, "t") {
		t.Errorf("%q %q %q", s.GitHub.Key, s.GitHub.Secret, s.GitLab.Token)
	}
	file := filepath.Join(dir, "secrets")
	if err := os.WriteFile(file, []byte("new\nold\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &cli{env: map[string]string{"VELOCITY_HOOK": "one", "VELOCITY_EMPTY": " ", "VELOCITY_MANY": "a b c"}}
	for source, want := range map[string][]string{
		file: {"new", "old"}, "env:VELOCITY_HOOK": {"one"},
		"env:VELOCITY_EMPTY": nil, "env:VELOCITY_NONE": nil, "env:VELOCITY_MANY": nil, dir + "/gone": nil,
	} {
		got, err := c.secrets("github.secret", secretSource(source))
		if !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%s: %q, %v; want %q", source, got, err, want)
		}
	}
}

// Next to a forge the builder of the server is off unless it is asked for, and has
// no executor but containers.
func TestForgeConfigBuilder(t *testing.T) {
	for _, tt := range []struct {
		embedded, executor string
		forged             bool
		runs               bool
		on                 executors
		fails              bool
	}{
		{"", "", false, true, executors{host: true, docker: true}, false},
		{"", "host", false, true, executors{host: true, forImages: true}, false},
		{"", "", true, false, executors{docker: true}, false},
		{"true", "", true, true, executors{docker: true}, false},
		{"true", "docker", true, true, executors{docker: true}, false},
		{"true", "host", true, true, executors{}, true},
		{"false", "", false, false, executors{host: true, docker: true}, false},
		{"false", "", true, false, executors{docker: true}, false},
	} {
		s := &serverConfig{}
		s.Builder.Embedded, s.Builder.Executor = decision(tt.embedded), tt.executor
		on, err := s.executes(tt.forged, true)
		if s.embeds(tt.forged) != tt.runs || on != tt.on || (err != nil) != tt.fails {
			t.Errorf("%+v: runs %v, %+v, %v", tt, s.embeds(tt.forged), on, err)
		}
	}
	s := &serverConfig{}
	if s.forged(false) || !s.forged(true) {
		t.Error("an App of the set-up page is no forge, or none is one")
	}
	s.GitLab.URL = "https://gitlab.com"
	if !s.forged(false) {
		t.Error("GitLab is no forge")
	}
}
