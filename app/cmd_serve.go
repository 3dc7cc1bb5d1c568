package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/blob"
	"github.com/velocity-ci/velocity/storage/git"
)

func (c *cli) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Build what is pushed to repositories",
		Long: `Build what is pushed to repositories on this machine.

Each new branch tip and tag is built by its triggers. The server hears of pushes
from the hook that velocity hook install sets up, and notices others by watching
the refs. On the first scan of a repository it remembers all tips and builds only
HEAD. With --once it builds what is due and ends with the outcome as its status.

Steps run on this machine if the repository belongs to the user who serves it, or
if --executor host asks for it: whoever can push then runs code as this user.

With --listen it also answers the API, for people and builders on other machines:
over TLS, or as plain HTTP to this machine only. docs/server.md has every key of
the configuration file; each is also one of the flags below and a variable, such
as VELOCITY_TLS_KEY for tls.key. A flag counts more than a variable, a variable
more than the file.

On TERM or an interrupt it gives out nothing new, and ends when what runs in this
process has, or after the time of --stop-grace; a second one ends it at once. What
did not end is tried again by the next server, and what builders on other machines
run goes on meanwhile.`,
		Args: arguments(0, 0),
	}
	from := configFlags(cmd)
	once := cmd.Flags().Bool("once", false, "build what is due, report the outcome and end")
	noBuilder := cmd.Flags().Bool("no-builder", false, "run no builder in this process, as --builder-embedded=false")
	noReuse := cmd.Flags().Bool("no-reuse", false, "build every task, also one that an earlier success could stand in for, as --reuse=false")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := c.config(from)
		if err != nil {
			return err
		}
		s.Reuse = s.Reuse && !*noReuse
		if *noBuilder {
			s.Builder.Embedded = "false"
		}
		return c.serve(cmd.Context(), s, *once)
	}
	return cmd
}

func executorFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("executor", "", "`where` steps run: host, all on this machine, or docker, none of them")
}

func capacityFlag(cmd *cobra.Command) *int {
	return cmd.Flags().Int("capacity", 0, "tasks at the same time (default: as many as there are CPUs)")
}

// executorsFor reads --executor. hostByDefault says whether steps without an
// image may run here although nobody asked for it.
func executorsFor(flag string, hostByDefault bool) (executors, error) {
	switch flag {
	case "":
		return executors{host: hostByDefault, docker: true}, nil
	case "host":
		return executors{host: true, forImages: true}, nil
	case "docker":
		return executors{docker: true}, nil
	}
	return executors{}, usage("--executor %s: there are host and docker", flag)
}

// ownedBySelf reports whether the file at path belongs to this user.
func ownedBySelf(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

func (c *cli) serve(ctx context.Context, conf *serverConfig, once bool) error {
	app, err := c.appOf(conf)
	if err != nil {
		return err
	}
	forged := conf.forged(app != nil)
	setUp := app == nil && conf.Listen != "" && conf.URL != "" && !once
	if len(conf.Repositories) == 0 && !forged && (!setUp || !noRepository(ctx)) {
		conf.Repositories = repositories{{Path: "."}}
	}
	log, err := c.logger(conf.Log.Format, once)
	if err != nil {
		return err
	}
	hostByDefault := true
	for _, path := range conf.paths() {
		repo, err := openRepository(ctx, path)
		if err != nil {
			return err
		}
		hostByDefault = hostByDefault && ownedBySelf(repo.CommonDir())
	}
	on, err := conf.executes(forged, hostByDefault)
	if err != nil {
		return err
	}
	o := serviceOptions{
		paths: conf.paths(), configured: conf, who: holderServe, wait: true, execute: on, builder: conf.embeds(forged),
		capacity: conf.Builder.Capacity, attempts: conf.Attempts, log: log,
		publish: conf.Publish.Remote, publishLogs: conf.Publish.Logs,
		publishing: make(chan struct{}, publishAtOnce),
	}
	if err := c.canPublish(conf); err != nil {
		return err
	}
	if once {
		return c.once(ctx, o, conf.retention())
	}
	s, err := c.newService(ctx, o)
	if err != nil {
		return err
	}
	if conf.Listen != "" {
		if err := c.open(ctx, s, conf, app, setUp); err != nil {
			return errors.Join(err, s.close())
		}
	}
	if err := s.listenForScrapes(ctx, conf.Metrics.Listen); err != nil {
		return errors.Join(err, s.close())
	}
	end, err := c.answerHealth(ctx, log)
	if err != nil {
		return errors.Join(err, s.close())
	}
	defer end()
	return errors.Join(s.forever(ctx, conf), s.close())
}

// open makes a service answer on its port, and speak to its forges. With setUp it
// offers the way to a GitHub App.
func (c *cli) open(ctx context.Context, s *service, conf *serverConfig, app *githubApp, setUp bool) (err error) {
	if s.front, err = c.openFront(ctx, s, conf); err != nil {
		return err
	}
	for _, h := range s.houses.list() {
		s.show(h)
	}
	if !setUp && !conf.forged(app != nil) {
		return nil
	}
	if s.forges, err = c.openForges(ctx, s, conf, app); err != nil {
		return err
	}
	s.front.web.GitHub, s.front.web.GitLab = http.HandlerFunc(s.forges.ServeGitHub), http.HandlerFunc(s.forges.ServeGitLab)
	s.front.web.Deliveries = deliveryLog{s.forges.announced(), c.clock}
	s.front.web.People = people{s.forges}
	if setUp {
		c.offerSetup(s, conf)
	}
	return nil
}

// noRepository reports whether this folder belongs to no repository. Then a server
// that is to be set up has none yet.
func noRepository(ctx context.Context) bool {
	_, err := git.Open(ctx, ".")
	return errors.Is(err, git.ErrNotRepository)
}

// logger is for the process' own log. A server that shows builds as they happen
// says only what is wrong.
func (c *cli) logger(format string, quiet bool) (*slog.Logger, error) {
	o := &slog.HandlerOptions{Level: slog.LevelInfo}
	if quiet {
		o.Level = slog.LevelWarn
	}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(c.Err, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(c.Err, o)), nil
	}
	return nil, usage("--log-format %s: there are text and json", format)
}

// silent is a log that nobody reads.
func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

// forever serves until it is told to stop.
func (s *service) forever(ctx context.Context, conf *serverConfig) error {
	s.log.Info("serving", "repos", len(s.houses.list()))
	return s.serveUntil(ctx, time.Duration(conf.Stop.Grace), func(ctx context.Context) error {
		s.c.tellManager(ctx, managerReady, s.log)
		return s.watchAndRetain(ctx, conf.retention())
	})
}

// An outcome collects the builds that were seen to their end.
type outcome struct {
	display *term.Progress

	mu     sync.Mutex
	builds []*build.Build
}

// opened shows a build to its end.
func (o *outcome) opened(v *architect.Watch) {
	defer v.Close()
	on := show{on: o.display}
	if err := v.Follow(context.Background(), on); err != nil {
		return // unreachable: a show takes everything
	}
	b, _, _ := v.State()
	on.end(b)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.builds = append(o.builds, b)
}

// once builds what is due and returns a failure if any of it failed.
func (c *cli) once(ctx context.Context, o serviceOptions, keep storage.Retention) error {
	display, closeDisplay := c.progress(c.Out)
	seen := &outcome{display: display}
	o.opened = seen.opened
	s, err := c.newService(ctx, o)
	if err != nil {
		closeDisplay()
		return err
	}
	err = s.run(ctx, func(ctx context.Context) error {
		for _, h := range s.houses.list() {
			h.site.Look()
		}
		if err := s.architect.WaitIdle(ctx); err != nil {
			return err
		}
		s.options.plugins.settle(ctx)
		if keep != (storage.Retention{}) || s.keepBlobs != (blob.Retention{}) {
			s.retainAll(ctx, keep, true)
		}
		return errIdle
	})
	closeDisplay()
	if err == nil && ctx.Err() != nil {
		err = &failure{status: statusProblem, err: context.Cause(ctx)}
	}
	if err == nil {
		err = c.onceOutcome(ctx, s, seen.builds)
	}
	return errors.Join(err, s.close())
}

// errIdle ends a service that has nothing left to do.
var errIdle = errors.New("nothing left to do")

// onceOutcome turns what was built into a status; if nothing was due, what HEAD's
// newest build says counts.
func (c *cli) onceOutcome(ctx context.Context, s *service, closed []*build.Build) error {
	if len(closed) == 0 {
		for _, h := range s.houses.list() {
			b, err := c.newestAtHead(ctx, h)
			if err != nil {
				return err
			}
			if b != nil {
				closed = append(closed, b)
			}
		}
	}
	for _, b := range closed {
		if b.State() == build.Failed {
			return &failure{status: statusFailed}
		}
	}
	return nil
}

// newestAtHead tells how HEAD stands when nothing was due.
func (c *cli) newestAtHead(ctx context.Context, h *served) (*build.Build, error) {
	_, commit, err := h.repo.Head()
	if err != nil {
		return nil, fmt.Errorf("read HEAD: %w", err)
	}
	if commit.IsZero() {
		fmt.Fprintf(c.Err, "velocity: %s has no commits: nothing to build\n", h.site.Name)
		return nil, nil
	}
	id, err := h.ledger.Find(ctx, commit.String())
	if errors.Is(err, storage.ErrNoBuild) {
		return nil, c.nothingAtHead(h, commit)
	}
	if err != nil {
		return nil, err
	}
	b, _, err := h.ledger.Build(ctx, id)
	if err == nil {
		fmt.Fprintf(c.Err, "velocity: nothing new to build; the newest build of HEAD is %s: %s %s\n", b.ID, b.Name, b.State())
	}
	return b, err
}

// nothingAtHead says why HEAD was never built.
func (c *cli) nothingAtHead(h *served, commit git.Hash) error {
	src := &origin{repo: h.repo, commit: commit}
	if _, _, err := src.config(); err != nil {
		return err
	}
	fmt.Fprintf(c.Err, "velocity: no pipeline asks for HEAD of %s: nothing to build\n", h.site.Name)
	return nil
}
