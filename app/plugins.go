package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/egress"
	"github.com/velocity-ci/velocity/builder/mask"
	"github.com/velocity-ci/velocity/hooks/plugin"
	"github.com/velocity-ci/velocity/storage"
)

// plugins are told of the builds of a service: those of its configuration, and those
// of repositories that it allows.
type plugins struct {
	c         *cli
	architect *architect.Architect
	houses    *houses
	conf      *pluginsConfig
	runner    *plugin.Runner
	own       *http.Client // for those of the configuration, and hosts that it names
	public    *http.Client // for those of repositories: public addresses only

	mu    sync.Mutex
	homes map[string]*served // by store
}

// newPlugins makes the service's plugins. What cannot be read of them now would not
// be told of anything later.
func (s *service) newPlugins(conf *serverConfig) (*plugins, error) {
	p := &plugins{
		c: s.c, architect: s.architect, houses: &s.houses, conf: &conf.Plugins, homes: map[string]*served{},
		own: plugin.NewClient(nil), public: plugin.NewClient(publicOnly),
	}
	for i := range p.conf.Run {
		if _, _, err := p.openOwn(i); err != nil {
			return nil, err
		}
	}
	p.runner = &plugin.Runner{Memory: p, Page: pageOf(conf), Logger: s.log, Now: s.c.now, Jitter: rand.Float64}
	return p, nil
}

// publicOnly refuses connections to addresses that are not public.
func publicOnly(network, address string, conn syscall.RawConn) error {
	if err := egress.Public(network, address, conn); err != nil {
		return &plugin.RefusedError{Why: err.Error() + ": plugins.hosts in the server's configuration can allow its host"}
	}
	return nil
}

// move goes on with what plugins are owed of a repository's builds, and returns the
// ledger that the architect is to record in.
func (p *plugins) move(ctx context.Context, h *served) (architect.Ledger, error) {
	owed, damaged, err := h.ledger.Owed(ctx)
	if err != nil {
		return nil, err
	}
	for _, err := range damaged {
		p.runner.Logger.Warn("what plugins are owed is lost; velocity fsck --repair drops it", "repo", h.site.Called(), "err", err)
	}
	store, err := h.ledger.ID()
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.homes[store] = h
	p.mu.Unlock()
	for _, o := range owed {
		if err := p.resume(ctx, h, o); err != nil {
			return nil, err
		}
	}
	return outbox{h.ledger, p, h}, nil
}

// resume goes on with one build. A plugin that is configured no more is told no more.
func (p *plugins) resume(ctx context.Context, h *served, o storage.Owed) error {
	b, _, err := h.ledger.Build(ctx, o.Build)
	if errors.Is(err, storage.ErrNoBuild) {
		return h.ledger.KeepOwed(ctx, storage.Owed{Build: o.Build})
	}
	if err != nil {
		return err
	}
	drawn, err := h.ledger.Plan(ctx, o.Build)
	if err != nil {
		return err
	}
	all := slices.DeleteFunc(p.of(h, b, drawn), func(one plugin.Plugin) bool { _, ok := o.Plugins[one.ID]; return !ok })
	if len(all) == 0 {
		return h.ledger.KeepOwed(ctx, storage.Owed{Build: o.Build})
	}
	progress := map[string]plugin.Progress{}
	for id, done := range o.Plugins {
		progress[id] = plugin.Progress(done)
	}
	p.runner.Adopt(o.Build, all, progress)
	return nil
}

// leave stops telling of a repository's builds, if there are plugins. What is owed
// stays on its desk.
func (p *plugins) leave(h *served) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for store, home := range p.homes {
		if home == h {
			p.runner.Leave(store)
			delete(p.homes, store)
		}
	}
}

// settleWithin is how long a server that is about to end waits for plugins.
const settleWithin = time.Minute

// settle lets plugins be told once of all that there is. What fails is tried again by
// the next server.
func (p *plugins) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	if err := p.runner.Settle(ctx); err != nil {
		p.runner.Logger.Warn("not all plugins were told: the next server goes on", "err", err)
	}
}

func (p *plugins) home(id build.ID) (*served, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h := p.homes[id.Store]; h != nil {
		return h, nil
	}
	return nil, errNotServed
}

// Moves implements plugin.Memory.
func (p *plugins) Moves(ctx context.Context, id build.ID) ([]build.Move, error) {
	h, err := p.home(id)
	if err != nil {
		return nil, err
	}
	_, moves, err := h.ledger.Build(ctx, id)
	return moves, gone(err)
}

// gone is an error in the words of plugins.
func gone(err error) error {
	if errors.Is(err, storage.ErrNoBuild) {
		return fmt.Errorf("%w: %w", plugin.ErrGone, err)
	}
	return err
}

// Keep implements plugin.Memory.
func (p *plugins) Keep(ctx context.Context, id build.ID, progress map[string]plugin.Progress) error {
	h, err := p.home(id)
	if err != nil {
		return err
	}
	o := storage.Owed{Build: id, Plugins: map[string]storage.Progress{}}
	for name, done := range progress {
		o.Plugins[name] = storage.Progress(done)
	}
	return h.ledger.KeepOwed(ctx, o)
}

// Notice implements plugin.Memory.
func (p *plugins) Notice(ctx context.Context, id build.ID, text string) error {
	h, err := p.home(id)
	if err != nil {
		return err
	}
	return gone(p.c.note(ctx, p.architect, h, id, text))
}

// note adds a notice to a build's event log, wherever the build is.
func (c *cli) note(ctx context.Context, a *architect.Architect, h *served, id build.ID, text string) error {
	err := a.Note(ctx, id, text)
	if errors.Is(err, architect.ErrNoBuild) { // then nobody else moves it
		return h.ledger.AddNotice(ctx, id, text, c.clock())
	}
	return err
}

// maxPlugins is how many plugins of one root file are run.
const maxPlugins = 20

// of lists the plugins that are told of a build. It asks nobody: it is called while
// the architect moves builds.
func (p *plugins) of(h *served, b *build.Build, drawn *plan.Plan) []plugin.Plugin {
	var all []plugin.Plugin
	for i := range p.conf.Run {
		one := &p.conf.Run[i]
		all = append(all, plugin.Plugin{
			ID: one.id(), Lane: one.id(), Called: one.called(i), Events: one.events(),
			Open: func(context.Context) (plugin.Sender, []string, error) { return p.openOwn(i) },
		})
	}
	if drawn == nil {
		return all
	}
	for i, one := range drawn.Plugins[:min(len(drawn.Plugins), maxPlugins)] {
		all = append(all, plugin.Plugin{
			ID: fmt.Sprintf("repository/%d", i), Lane: laneOf(b.ID.Store, one),
			Called: fmt.Sprintf("%s (plugins[%d] of the root file)", one.Use, i), Events: eventTypes(one.Events),
			Open: func(ctx context.Context) (plugin.Sender, []string, error) {
				return p.openTheirs(ctx, h, b.ID, b.Trigger, one)
			},
		})
	}
	return all
}

// laneOf is the same for a plugin as long as it is written in the same way.
func laneOf(store string, one plan.Plugin) string {
	text, err := json.Marshal(one)
	if err != nil {
		return store // unreachable: it is strings
	}
	return store + " " + string(text)
}

// openOwn makes the sender of a plugin of the configuration. Its files are read
// each time, so that a secret can be changed.
func (p *plugins) openOwn(i int) (plugin.Sender, []string, error) {
	one, key := &p.conf.Run[i], fmt.Sprintf("plugins.run[%d]", i)
	a := &one.Arguments
	if one.Use == plan.PluginExec {
		return &plugin.Exec{Path: a.Command}, nil, nil
	}
	address, signing := a.URL, ""
	if a.From != "" {
		found, err := p.c.secrets(key+".from", a.From)
		if err != nil {
			return nil, nil, err
		}
		address = found[0]
		if err := plugin.CheckURL(address, true); err != nil {
			return nil, nil, usage("%s.from: %w", key, err)
		}
	}
	if a.Secret != "" {
		found, err := p.c.secrets(key+".secret", a.Secret)
		if err != nil {
			return nil, nil, err
		}
		signing = found[0]
	}
	s, err := p.sender(one.Use, p.own, address, signing)
	if err != nil {
		return nil, nil, usage("%s.secret: %w", key, err)
	}
	return s, hidden(a.From != "", address, signing), nil
}

// openTheirs makes the sender of a plugin that a repository asks for, with the
// secrets that a build may have.
func (p *plugins) openTheirs(ctx context.Context, h *served, id build.ID, t plan.Trigger, one plan.Plugin) (plugin.Sender, []string, error) {
	if !slices.Contains(p.conf.Allow, one.Use) {
		return nil, nil, &plugin.RefusedError{Why: "this server does not allow it: plugins.allow in its configuration does"}
	}
	values, err := p.endow(ctx, h, id, t, one)
	if err != nil {
		return nil, nil, err
	}
	address, signing, secret := "", "", false
	for _, a := range one.Arguments {
		value := a.Value
		if a.Secret != "" {
			value = values[a.Secret]
		}
		switch a.Name {
		case plan.PluginURL:
			address, secret = value, a.Secret != ""
		case plan.PluginSignature:
			signing = value
		}
	}
	u, err := url.Parse(address)
	known := err == nil && p.conf.Hosts.has(u)
	if err := plugin.CheckURL(address, known); err != nil {
		return nil, nil, &plugin.RefusedError{Why: "url: " + err.Error()}
	}
	client := p.public
	if known {
		client = p.own
	}
	s, err := p.sender(one.Use, client, address, signing)
	if err != nil {
		return nil, nil, &plugin.RefusedError{Why: "secret: " + err.Error()}
	}
	return s, hidden(secret, address, signing), nil
}

// sender makes a plugin that speaks HTTP.
func (p *plugins) sender(use string, client *http.Client, address, signing string) (plugin.Sender, error) {
	if use == plan.PluginSlack {
		return &plugin.Slack{Client: client, URL: address}, nil
	}
	w := &plugin.Webhook{Client: client, URL: address, Now: p.c.now}
	if signing == "" {
		return w, nil
	}
	var err error
	w.Key, err = plugin.ParseKey(signing)
	return w, err
}

// hidden are the values that nobody may be told: an address that is a secret also
// without what is before its path.
func hidden(secret bool, address, signing string) []string {
	var all []string
	if secret {
		all = append(all, address)
		if u, err := url.Parse(address); err == nil {
			all = append(all, u.RequestURI())
		}
	}
	return slices.DeleteFunc(append(all, signing), func(s string) bool { return len(s) < mask.MinLength })
}
