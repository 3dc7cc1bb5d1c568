package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/forge/github"
	"github.com/velocity-ci/velocity/app/web"
)

// appFile is the file in the state with the GitHub App that the set-up page made.
const appFile = "github.json"

// A githubApp is as whom the server speaks to GitHub. It is not printed.
type githubApp struct {
	ID      int64
	Key     []byte   // PEM
	Secrets []string // of webhooks: one, or the old one and the new one

	ClientID, ClientSecret string // with which people sign in; "" if they do not
}

// Format prints no secret, whatever the verb.
func (a githubApp) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "App %d", a.ID) }

// A keptApp is the content of the appFile.
type keptApp struct {
	URL           string `json:"url"` // of the GitHub where the App is
	ID            int64  `json:"id"`
	Slug          string `json:"slug"`
	Owner         string `json:"owner"`
	Page          string `json:"page"`
	ClientID      string `json:"clientId"`
	ClientSecret  string `json:"clientSecret"`
	WebhookSecret string `json:"webhookSecret"`
	Key           string `json:"key"`
}

// Format prints no secret, whatever the verb.
func (k keptApp) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "App %d (%s)", k.ID, k.Slug) }

func (k keptApp) app() *githubApp {
	return &githubApp{ID: k.ID, Key: []byte(k.Key), Secrets: []string{k.WebhookSecret}, ClientID: k.ClientID, ClientSecret: k.ClientSecret}
}

// appOf is the App that is configured, or else the one that the set-up page made;
// nil if there is none.
func (c *cli) appOf(conf *serverConfig) (*githubApp, error) {
	if conf.GitHub.App == 0 {
		return c.keptApp(conf)
	}
	key, err := os.ReadFile(conf.GitHub.Key)
	if err != nil {
		return nil, usage("github.key: %w", err)
	}
	secrets, err := c.secrets("github.secret", conf.GitHub.Secret)
	if err != nil {
		return nil, err
	}
	app := &githubApp{ID: int64(conf.GitHub.App), Key: key, Secrets: secrets, ClientID: conf.GitHub.OAuth.ID}
	if app.ClientID != "" {
		clients, err := c.secrets("github.oauth.secret", conf.GitHub.OAuth.Secret)
		if err != nil {
			return nil, err
		}
		app.ClientSecret = clients[0]
	}
	return app, nil
}

// keptApp is the one that the set-up page made.
func (c *cli) keptApp(conf *serverConfig) (*githubApp, error) {
	folder, err := c.stateFolder(conf.State)
	if err != nil {
		return nil, nil //nolint:nilerr // without a state there is nothing in it; who needs one says so
	}
	path := filepath.Join(folder, appFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var kept keptApp
	if err == nil && (json.Unmarshal(text, &kept) != nil || kept.ID == 0 || kept.Key == "" || kept.WebhookSecret == "") {
		err = fmt.Errorf("%s has no GitHub App: restore it, or remove it to set another one up", path)
	}
	if err != nil {
		return nil, usage("read the GitHub App: %w", err)
	}
	if kept.URL != conf.GitHub.URL {
		return nil, usage("the GitHub App in %s is one of %s, and github.url is %s", path, kept.URL, conf.GitHub.URL)
	}
	return kept.app(), nil
}

// A registrar makes the GitHub App of a server. It is a web.AppMaker.
type registrar struct {
	path      string // of the appFile
	github    string // address of its pages
	server    string // address of ours
	transport http.RoundTripper
	now       func() time.Time
	made      func(githubApp) // called once it is durable
}

// Page implements web.AppMaker.
func (r *registrar) Page(organisation, state string) (string, error) {
	return github.NewAppPage(r.github, organisation, state)
}

// Manifest implements web.AppMaker.
func (r *registrar) Manifest() []byte {
	host := r.server
	if u, err := url.Parse(r.server); err == nil {
		host = u.Hostname()
	}
	base := strings.TrimSuffix(r.server, "/")
	return github.Proposal{
		Name: "Velocity " + host, Page: r.server, Hook: base + web.HooksOfGitHub, Redirect: base + web.SetupCallback,
		Login: callbackOf(r.server, forge.GitHub),
	}.Manifest()
}

// makeWithin bounds the exchange of a code.
const makeWithin = 30 * time.Second

// Make implements web.AppMaker.
func (r *registrar) Make(ctx context.Context, code string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, makeWithin)
	defer cancel()
	api, err := github.APIOf(r.github)
	if err != nil {
		return "", err
	}
	got, err := github.Convert(ctx, github.Options{API: api, Transport: r.transport, Now: r.now, UserAgent: userAgent}, code)
	if err != nil {
		return "", err
	}
	kept := keptApp{
		URL: r.github, ID: got.ID, Slug: got.Slug, Owner: got.Owner, Page: got.Page,
		ClientID: got.ClientID, ClientSecret: got.ClientSecret, WebhookSecret: got.WebhookSecret, Key: got.Key,
	}
	text, err := json.Marshal(kept)
	if err == nil {
		err = keepPrivate(r.path, append(text, '\n'), os.Link)
	}
	if err != nil {
		return "", fmt.Errorf("keep the key of the GitHub App: %w; the App is at %s, and is of no use without it", err, got.Page)
	}
	r.made(*kept.app())
	return strings.TrimSuffix(got.Page, "/") + "/installations/new", nil
}

// offerSetup has the front show the set-up page, and prints the one address that
// opens it.
func (c *cli) offerSetup(s *service, conf *serverConfig) {
	secure := strings.HasPrefix(conf.URL, "https://")
	setup := web.NewSetup(&registrar{
		path: filepath.Join(s.front.state, appFile), github: conf.GitHub.URL, server: conf.URL,
		transport: forgeTransport(), now: c.now, made: s.githubConfigured,
	}, strings.TrimSuffix(conf.GitHub.URL, "/"), secure)
	s.front.web.Setup = setup
	fmt.Fprintf(c.Err, "velocity: to build repositories of GitHub, open %s%s%s (it works once, and until the server ends)\n",
		strings.TrimSuffix(conf.URL, "/"), web.SetupPath, setup.Query())
}

// userAgent is how we call ourselves when we ask forges.
const userAgent = "velocity"

// forgeTransport is how requests to forges get out.
func forgeTransport() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = makeWithin
	return t
}

// githubConfigured is told of the App that the set-up page made while the server
// runs. A builder of this process that nobody would have had next to a forge ends,
// and so does one that runs steps outside of containers.
func (s *service) githubConfigured(a githubApp) {
	s.log.Info("GitHub App is set up", "app", a.ID)
	if err := s.forges.addHub(a); err != nil { // it is kept: the next start says so, too
		s.log.Error("the GitHub App cannot be used", "app", a.ID, "err", err)
	}
	if s.options.builder && (!s.options.configured.embeds(true) || s.options.execute.host) {
		s.log.Warn("the builder of this process ends: builder.embedded: true has one that runs steps in containers, from the next start on")
		s.dismissBuilder()
	}
}
