package app

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/forge/github"
	"github.com/velocity-ci/velocity/app/forge/gitlab"
	"github.com/velocity-ci/velocity/app/forge/report"
	"github.com/velocity-ci/velocity/app/liaison"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/hooks"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/delivery"
	"github.com/velocity-ci/velocity/storage/git"
	projects "github.com/velocity-ci/velocity/storage/project"
)

// forges are those that a server speaks to, with what is done for them.
type forges struct {
	s        *service
	conf     *serverConfig
	inbox    *delivery.Inbox
	mirrors  *mirrors
	liaison  *liaison.Liaison
	reporter *report.Reporter
	readers  *readers

	hub     atomic.Pointer[hub] // nil before there is a GitHub App
	lab     *gitlab.GitLab      // nil if there is no GitLab
	fromLab http.Handler        // its deliveries
	labSaid notices             // of its health; only examineLab touches it

	arrived atomic.Bool // a repository is served of which reports were not looked at yet
	live    context.Context
	end     context.CancelFunc
}

// A hub is GitHub, as our App sees it.
type hub struct {
	app       *github.App
	receiver  http.Handler
	fetched   map[string]bool // deliveries that were fetched, by GUID; only missed touches it
	lookSince time.Time       // likewise
	said      notices         // of the App's health; only examine touches it
}

// openForges makes a service speak to the forges that are configured. app is nil if
// there is no GitHub App yet. The state's lock is the front's.
func (c *cli) openForges(ctx context.Context, s *service, conf *serverConfig, app *githubApp) (f *forges, err error) {
	repo, err := c.openState(ctx, conf.State)
	if err != nil {
		return nil, err
	}
	f = &forges{s: s, conf: conf, readers: newReaders(c.now)}
	f.live, f.end = context.WithCancel(context.WithoutCancel(ctx))
	f.mirrors = newMirrors(filepath.Dir(repo.CommonDir()), transports(conf), s.log, c.now)
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
			f = nil
		}
	}()
	f.inbox = delivery.Open(repo, c.clock)
	if err := f.inbox.Recover(); err != nil {
		return f, err
	}
	f.liaison = f.newLiaison(repo)
	f.reporter = s.newReporter(map[forge.Kind]forge.Poster{forge.GitHub: latePoster{f}, forge.GitLab: labPoster{f}})
	s.architect.Opened = func(v *architect.Watch) { s.report(f.live, f.reporter, v) }
	if conf.GitLab.URL != "" {
		if err := f.addLab(); err != nil {
			return f, err
		}
	}
	if app != nil {
		err = f.addHub(*app)
	}
	return f, err
}

// transports are the ways to fetch from the forges that are configured, beside
// https: one on this machine may do without TLS.
func transports(conf *serverConfig) []string {
	if strings.HasPrefix(conf.GitHub.URL, "http://") || strings.HasPrefix(conf.GitLab.URL, "http://") {
		return []string{"http"}
	}
	return nil
}

func (f *forges) newLiaison(repo *git.Repository) *liaison.Liaison {
	l := liaison.New()
	l.Houses = estate{f.s, f.mirrors, f.keys, &f.arrived}
	l.Inbox, l.Projects = deliveries{f.inbox}, projects.Open(repo, f.s.c.clock)
	l.Wanted, l.Trusted = f.wanted, f.trusted
	l.Every, l.Jitter = cmp.Or(time.Duration(f.conf.Poll), longestInterval), rand.Float64
	l.NewID, l.Missed, l.Compared = storage.NewTriggerID, f.missed, f.compared
	l.Log, l.Now = f.s.log, f.s.c.now
	return l
}

// longestInterval is how often forges are compared with what was planned where
// nobody asks for less.
const longestInterval = 5 * time.Minute

// keys opens repositories of a forge for fetching.
func (f *forges) keys(kind forge.Kind) keyring {
	if kind == forge.GitLab {
		return f.lab
	}
	return f.hub.Load().app
}

// wanted reports whether the configuration lets a repository be built.
func (f *forges) wanted(r forge.Repository) bool {
	if r.Kind == forge.GitLab {
		return f.conf.GitLab.Repositories.selects(r.Name)
	}
	return f.conf.GitHub.Repositories.selects(r.Name)
}

func (f *forges) trusted(login string) bool { return slices.Contains(f.conf.Bots, login) }

// compared looks at the health of forges, and at what was reported of repositories that
// came since.
func (f *forges) compared(ctx context.Context) {
	f.examine(ctx)
	f.examineLab(ctx)
	if f.arrived.Swap(false) {
		f.reporter.Sweep(ctx)
	}
}

// resume serves what was served before, from its mirrors.
func (f *forges) resume(ctx context.Context) {
	if err := f.liaison.Resume(ctx); err != nil && ctx.Err() == nil {
		f.s.log.Error("repositories of forges are served only when their forges answer", "err", err)
	}
}

// run serves until ctx ends.
func (f *forges) run(ctx context.Context) {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { f.inbox.Run(ctx); return nil })
	group.Go(func() error { f.liaison.Run(ctx); return nil })
	group.Go(func() error { f.reporter.Run(ctx); return nil })
	_ = group.Wait() // none has an error
}

func (f *forges) close() error {
	f.end()
	f.mirrors.close()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(f.live), releaseWithin)
	defer cancel()
	if f.inbox == nil {
		return nil
	}
	return f.inbox.Release(ctx)
}

// receiver is what the receivers of all forges have in common.
func (f *forges) receiver() hooks.Receiver {
	return hooks.Receiver{
		Inbox: announced{f.inbox, f.liaison}, Now: f.s.c.now, Log: f.s.log,
		Refused: f.inbox.Refuse,
	}
}

// ServeGitHub takes deliveries of GitHub.
func (f *forges) ServeGitHub(w http.ResponseWriter, r *http.Request) {
	if h := f.hub.Load(); h != nil {
		h.receiver.ServeHTTP(w, r)
		return
	}
	http.NotFound(w, r)
}

// ServeGitLab takes deliveries of GitLab.
func (f *forges) ServeGitLab(w http.ResponseWriter, r *http.Request) {
	if f.fromLab != nil {
		f.fromLab.ServeHTTP(w, r)
		return
	}
	http.NotFound(w, r)
}
