package app

import (
	"context"
	"fmt"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/forge/github"
	"github.com/velocity-ci/velocity/app/forge/gitlab"
	"github.com/velocity-ci/velocity/hooks"
	"github.com/velocity-ci/velocity/storage/delivery"
)

// addHub speaks to GitHub as an App from now on.
func (f *forges) addHub(a githubApp) error {
	api, err := github.APIOf(f.conf.GitHub.URL)
	if err != nil {
		return err
	}
	app, err := github.Open(github.Options{
		API: api, AppID: a.ID, Key: a.Key, Transport: forgeTransport(), Now: f.s.c.now, Log: f.s.log, UserAgent: userAgent,
	})
	if err != nil {
		return usage("GitHub App %d: %w", a.ID, err)
	}
	secrets, err := webhookSecrets(a.Secrets, hooks.NewSecret)
	if err != nil {
		return usage("github.secret: %w", err)
	}
	receiver, err := hooks.NewGitHub(f.receiver(), secrets...)
	if err != nil {
		return usage("github.secret: %w", err)
	}
	login, err := f.loginOfHub(a)
	if err != nil {
		return usage("github.oauth: %w", err)
	}
	f.hub.Store(&hub{app: app, login: login, receiver: receiver, fetched: map[string]bool{}})
	f.liaison.Add(forge.GitHub, app, a.ID)
	return nil
}

// addLab speaks to GitLab.
func (f *forges) addLab() error {
	conf, c := f.conf.GitLab, f.s.c
	var err error
	if f.lab, err = c.openGitLab(f.conf, f.s.log); err != nil {
		return err
	}
	bearers, err := c.webhookSecretsOf("gitlab.secret", conf.Secret, hooks.NewSecret)
	if err != nil {
		return err
	}
	keys, err := c.webhookSecretsOf("gitlab.signing", conf.Signing, hooks.ParseSigningKey)
	if err != nil {
		return err
	}
	if f.fromLab, err = hooks.NewGitLab(f.receiver(), bearers, keys); err != nil {
		return usage("gitlab.secret: %w", err)
	}
	if f.labLogin, err = f.loginOfLab(); err != nil {
		return err
	}
	f.liaison.Add(forge.GitLab, lab{f.lab}, 0)
	return nil
}

// webhookSecretsOf are those at a source, none if there is no source.
func (c *cli) webhookSecretsOf(key string, at secretSource, parse func(string) (hooks.Secret, error)) ([]hooks.Secret, error) {
	if at == "" {
		return nil, nil
	}
	texts, err := c.secrets(key, at)
	if err != nil {
		return nil, err
	}
	all, err := webhookSecrets(texts, parse)
	if err != nil {
		return nil, usage("%s: %w", key, err)
	}
	return all, nil
}

func webhookSecrets(texts []string, parse func(string) (hooks.Secret, error)) (all []hooks.Secret, err error) {
	for _, text := range texts {
		one, err := parse(text)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// lab is GitLab in the liaison's words.
type lab struct{ *gitlab.GitLab }

// Repositories implements liaison.Forge.
func (l lab) Repositories(ctx context.Context) ([]forge.Repository, error) { return l.Projects(ctx) }

// Repository implements liaison.Forge.
func (l lab) Repository(ctx context.Context, _, id int64) (forge.Repository, error) {
	return l.Project(ctx, id)
}

// errNoForge is for what was to be shown on a forge that is not configured any more.
var errNoForge = fmt.Errorf("%w: it is not configured", forge.ErrForbidden)

// latePoster shows checks on GitHub once there is an App.
type latePoster struct{ f *forges }

// Post implements forge.Poster.
func (p latePoster) Post(ctx context.Context, c forge.Check, told forge.Told) (forge.Told, error) {
	if h := p.f.hub.Load(); h != nil {
		return h.app.Post(ctx, c, told)
	}
	return told, errNoForge
}

// labPoster shows checks on GitLab, if there is one.
type labPoster struct{ f *forges }

// Post implements forge.Poster.
func (p labPoster) Post(ctx context.Context, c forge.Check, told forge.Told) (forge.Told, error) {
	if p.f.lab != nil {
		return p.f.lab.Post(ctx, c, told)
	}
	return told, errNoForge
}

const (
	// keptByGitHub is how long GitHub lists deliveries.
	keptByGitHub = 3 * 24 * time.Hour
	// overlap is what is looked at twice: a delivery that is slow to fail is in the
	// list under the time when it began.
	overlap = time.Hour
)

// missed takes in the deliveries that GitHub could not deliver.
func (f *forges) missed(ctx context.Context) error {
	h := f.hub.Load()
	if h == nil {
		return nil
	}
	began := f.s.c.now()
	since := h.lookSince
	if since.IsZero() {
		since = began.Add(-keptByGitHub)
	}
	for d, err := range h.app.Missed(ctx, since, func(guid string) bool { return h.fetched[guid] }) {
		if err != nil {
			return fmt.Errorf("look for deliveries that did not arrive: %w", err)
		}
		if err := f.inbox.Accept(ctx, delivery.Delivery{
			Forge: string(forge.GitHub), Key: hooks.GitHubKey(d.Hook, d.GUID), Event: d.Event, Body: d.Body, Received: f.s.c.clock(),
		}); err != nil {
			return err
		}
		f.s.log.Info("a delivery that did not arrive was fetched", "event", d.Event, "guid", d.GUID)
		h.fetched[d.GUID] = true
	}
	h.lookSince = began.Add(-overlap)
	if len(h.fetched) > maxFetched {
		clear(h.fetched) // the inbox knows them, too
	}
	return nil
}

// maxFetched bounds what is remembered of deliveries that were fetched.
const maxFetched = 10_000
