package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/queue"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/git"
	"github.com/velocity-ci/velocity/storage/running"
)

// Who holds a repository's lock, as others are told.
const (
	holderServe   = "velocity serve"
	holderHook    = "velocity hook" // ends by itself when there is nothing left to build
	holderRun     = "velocity run --record"
	holderArchive = "velocity archive"
	holderPurge   = "velocity purge"
)

// A served repository is one whose builds this process records.
type served struct {
	repo   *git.Repository
	ledger *storage.Ledger
	site   *architect.Site
	folder string // ours within the git directory

	publisher *publisher // nil if nothing is published
	plugins   *plugins   // nil if there are none
	vault     *vault

	key     forge.Key          // of the repository on its forge; zero if it has none
	from    remote             // that repository
	room    bool               // could be made by collecting; only retain touches it
	answers *web.Server        // for whoever asks the front; nil before it does
	stop    context.CancelFunc // ends what runs for the repository; nil before
	rest    sync.WaitGroup     // that
}

// folderOf is where Velocity keeps its files in a repository.
func folderOf(repo *git.Repository) string { return filepath.Join(repo.CommonDir(), "velocity") }

// nameOf is the repository as people know it.
func nameOf(repo *git.Repository) string {
	if tree := repo.WorkTree(); tree != "" {
		return filepath.Base(tree)
	}
	return strings.TrimSuffix(filepath.Base(repo.CommonDir()), ".git")
}

// openStore opens the store of a repository.
func (c *cli) openStore(repo *git.Repository) *storage.Store { return storage.Open(repo, c.clock) }

// clock is the time as it is stored.
func (c *cli) clock() time.Time { return c.now().UTC().Truncate(time.Millisecond) }

// serveRepository takes a repository's lock, waiting for holders that end by
// themselves if the options say so, and makes a site of it.
func (c *cli) serveRepository(ctx context.Context, path string, o serviceOptions, a *architect.Architect) (*served, error) {
	repo, err := openRepository(ctx, path)
	if err != nil {
		return nil, err
	}
	if repo.WorkTree() == "" && o.who != holderHook { // people push here; the hook came with it
		if err := repo.Protect(ctx); err != nil {
			return nil, err
		}
	}
	publisher, err := c.publisherFor(ctx, repo, o)
	if err != nil {
		return nil, err
	}
	configured := o.configured.at(path)
	s := &served{repo: repo, publisher: publisher, folder: folderOf(repo)}
	s.site = &architect.Site{
		Name: cmp.Or(configured.Name, nameOf(repo)), Repo: view{repo}, Share: queue.Share{Weight: configured.Weight, Limit: configured.Limit}, Told: o.who == holderHook,
		NoReuse: !o.configured.reuses(path), Protected: o.configured.protects(path),
	}
	return s, c.settle(ctx, s, configured, o, a)
}

// mirrored serves a repository of a forge from its mirror. Pushes come with what
// the forge tells: the first look remembers all refs.
func (c *cli) mirrored(ctx context.Context, r forge.Repository, repo *git.Repository, o serviceOptions, a *architect.Architect) (*served, error) {
	if err := repo.Protect(ctx); err != nil {
		return nil, err
	}
	s := &served{repo: repo, folder: folderOf(repo), key: r.Key}
	s.follow(r)
	s.publisher = c.publisherAtForge(s, o)
	s.site = &architect.Site{
		Name: r.Name, Key: r.Key.String(), Repo: mirrorView{view{repo}}, Told: true, NoReuse: o.configured != nil && !o.configured.Reuse,
	}
	return s, c.settle(ctx, s, repositoryConfig{URL: r.Clone}, o, a)
}

// settle takes the lock of a repository and gives its site to the architect.
func (c *cli) settle(ctx context.Context, s *served, configured repositoryConfig, o serviceOptions, a *architect.Architect) (err error) {
	folded := a.Folded
	if s.publisher != nil {
		folded = func(id build.ID) { a.Folded(id); s.publisher.folded(id) }
	}
	ledger, err := c.acquire(ctx, s.repo, o.who, o.wait, folded, a.Fail)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.plugins.leave(s)
			err = errors.Join(err, ledger.Release(ctx))
		}
	}()
	ledger.Tell(func(found string) { o.log.Warn("repository", "repo", s.site.Called(), "found", found) })
	s.ledger = ledger
	s.vault = &vault{c: c, repo: s.repo, repository: s.site.Identity()}
	s.site.Source, s.site.Ledger, s.site.Inbox, s.site.History = s.repo.CommonDir(), ledger, ledger, history{ledger}
	if s.plugins = o.plugins; s.plugins != nil {
		if s.site.Ledger, err = s.plugins.move(ctx, s); err != nil {
			return err
		}
	}
	s.site.Vault, s.site.Clock = s.vault, o.who == holderServe
	if s.site.Modules, err = modulesOf(ctx, s.repo, configured); err != nil {
		return err
	}
	logs, err := runningLogs(s.repo)
	if err != nil {
		return err
	}
	s.site.Logs = logs
	if o.metrics != nil {
		s.site.Ledger, s.site.Logs = o.metrics.Ledger(s.site.Ledger, c.now), o.metrics.Logs(logs)
	}
	return a.Open(ctx, s.site)
}

// runningLogs keeps the logs of attempts that still run. Where several users serve
// one repository in turn, none can clear away what is another's.
func runningLogs(repo *git.Repository) (*running.Logs, error) {
	folder := filepath.Join(folderOf(repo), "running")
	if err := repo.MakeFolder(folder); err != nil {
		return nil, fmt.Errorf("keep running logs: %w", err)
	}
	return running.New(filepath.Join(folder, strconv.Itoa(os.Geteuid())))
}

// lookAgain is the pace at which a lock is tried that somebody is about to give
// back. There is no event to wait for: flock has none.
const lookAgain = 50 * time.Millisecond

// acquire takes a repository's lock. folded is told of builds, failed why nothing
// can be recorded any more.
func (c *cli) acquire(ctx context.Context, repo *git.Repository, who string, wait bool,
	folded func(build.ID), failed func(error)) (*storage.Ledger, error) {
	told := false
	for {
		ledger, err := c.openStore(repo).Acquire(ctx, who, folded)
		var held *storage.HeldError
		if err == nil {
			go func() {
				if err := ledger.Wait(); err != nil {
					failed(fmt.Errorf("%s: %w", nameOf(repo), err))
				}
			}()
			return ledger, nil
		}
		if !errors.As(err, &held) {
			return nil, err
		}
		if !wait || strings.HasPrefix(held.Holder, holderServe) {
			f := &failure{status: statusProblem, err: fmt.Errorf("%s: %w", nameOf(repo), err)}
			return nil, f.hint("one process records in a repository: end that one, or wait until it has ended")
		}
		if !told {
			fmt.Fprintf(c.Err, "velocity: waiting for %s\n", held.Holder)
			told = true
		}
		select {
		case <-time.After(lookAgain):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// release gives the repository back. What is unfinished stays so in git.
func (s *served) release(ctx context.Context) error {
	s.plugins.leave(s)
	if err := s.ledger.Release(ctx); err != nil {
		return fmt.Errorf("release %s: %w", s.site.Called(), err)
	}
	if s.publisher != nil && s.key == (forge.Key{}) { // what is due of a forge's the next start publishes
		s.publisher.last()
	}
	return nil
}

// publisherFor is a publisher to the remote of the options, nil if there is none.
func (c *cli) publisherFor(ctx context.Context, repo *git.Repository, o serviceOptions) (*publisher, error) {
	if o.publish == "" {
		return nil, nil
	}
	remote, err := findRemote(ctx, repo, []string{o.publish}, false)
	if err != nil {
		return nil, err
	}
	log := o.log.With("repo", nameOf(repo), "remote", remote.String())
	waiting := func(d time.Duration) { log.Debug("waiting to publish", "for", d) }
	return newPublisher(log, func(ctx context.Context) (int, error) {
		return c.openStore(repo).Publish(ctx, remote, storage.PublishOptions{Logs: o.publishLogs, Sleep: pause, Waiting: waiting})
	}), nil
}

// A history is the ledger's, in the architect's words.
type history struct{ *storage.Ledger }

func (h history) Live(ctx context.Context) ([]architect.Loaded, error) {
	stored, err := h.Ledger.Live(ctx)
	loaded := make([]architect.Loaded, len(stored))
	for i, l := range stored {
		loaded[i] = architect.Loaded(l)
	}
	return loaded, err
}

func (h history) Recorded(ctx context.Context, id build.ID) (l architect.Loaded, ok bool, err error) {
	b, _, err := h.Ledger.Build(ctx, id)
	if errors.Is(err, storage.ErrNoBuild) {
		return l, false, nil
	}
	if err != nil {
		return l, false, err
	}
	p, err := h.Ledger.Plan(ctx, id)
	return architect.Loaded{Build: b, Plan: p}, true, err
}

func (h history) OfCommit(ctx context.Context, commit plan.Commit) ([]architect.Known, error) {
	stored, err := h.Ledger.OfCommit(ctx, commit)
	known := make([]architect.Known, len(stored))
	for i, k := range stored {
		known[i] = architect.Known(k)
	}
	return known, err
}
