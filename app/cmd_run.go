package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint"
	"github.com/velocity-ci/velocity/blueprint/plan"
	checkout "github.com/velocity-ci/velocity/builder/source"
	"github.com/velocity-ci/velocity/storage/git"
	"github.com/velocity-ci/velocity/storage/memory"
	"github.com/velocity-ci/velocity/storage/running"
)

type runFlags struct {
	repo     *string
	params   *[]string
	executor *string
	capacity *int
	record   *bool
	json     *bool
}

func (c *cli) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run [NAME]",
		Short: "Build a pipeline or blueprint here and now",
		Long: `Build a pipeline or blueprint here and now, with the same engine as a builder.

It works on the work tree as it is, all tasks in the same folder, and stores
nothing. With --record the work tree must be clean: each task gets a fresh
checkout of HEAD, and the build is stored like any other.

Steps without an image run on this machine. With --executor host all steps do;
with --executor docker none.`,
		Args: arguments(0, 1),
	}
	f := runFlags{
		repo:     repoFlag(cmd),
		params:   paramFlag(cmd),
		executor: executorFlag(cmd),
		capacity: capacityFlag(cmd),
		record:   cmd.Flags().Bool("record", false, "build HEAD and store the build"),
		json:     jsonFlag(cmd),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), f, strings.Join(args, "")) }
	return cmd
}

func (c *cli) run(ctx context.Context, f runFlags, name string) error {
	// A short-lived process with a small heap spends more on collecting garbage
	// than the garbage is worth.
	debug.SetGCPercent(400)
	on, err := executorsFor(*f.executor, true)
	if err != nil {
		return err
	}
	empty := ""
	from, err := originFlags{repo: f.repo, commit: &empty}.open(ctx)
	if err != nil {
		return err
	}
	defer from.close()
	if from.files == nil {
		return usage("a bare repository has no work tree to run in").hint("velocity start builds what is in it")
	}
	if *f.record {
		if err := recordable(ctx, from); err != nil {
			return err
		}
	}
	job, err := c.job(ctx, from, f, name)
	if err != nil {
		return err
	}
	if on.docker {
		c.warnOfImages(job.plan)
	}
	job.on, job.capacity = on, *f.capacity
	b, err := c.build(ctx, job)
	if err != nil {
		return err
	}
	if *f.json {
		if err := printBuild(c.Out, b); err != nil {
			return err
		}
	}
	if b.State() == build.Failed {
		return &failure{status: statusFailed}
	}
	return nil
}

// recordable refuses what a recorded build would not be a build of.
func recordable(ctx context.Context, from *origin) error {
	if from.commit.IsZero() {
		return usage("there is no commit to record a build of").hint("git commit makes one")
	}
	changes, err := from.repo.Changes(ctx)
	if err != nil {
		return fmt.Errorf("look for changes: %w", err)
	}
	if len(changes) > 0 {
		return usage("the work tree has changes that are not committed (%s, …): the build would not be one of HEAD", changes[0]).
			hint("commit or stash them, or run without --record")
	}
	return nil
}

// A job is one build to be made here.
type job struct {
	repo     *git.Repository
	plan     *plan.Plan
	trigger  plan.Trigger
	secrets  map[string]string
	record   bool
	json     bool
	on       executors
	capacity int
	folder   string                   // for files beside the work tree; "" is the usual one
	display  func() (display, func()) // nil: progress, as people at a terminal want it
}

// A display is where a build is shown.
type display interface {
	architect.Viewer
	// end shows the outcome and returns the build as it was shown.
	end(b *build.Build) *build.Build
}

// job draws the plan of what shall be built.
func (c *cli) job(ctx context.Context, from *origin, f runFlags, name string) (*job, error) {
	given, err := givenParameters(*f.params)
	if err != nil {
		return nil, err
	}
	config, _, err := from.config()
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = defaultName
	}
	t := plan.Trigger{
		ID: c.newTriggerID(), Event: plan.EventLocal, Ref: from.ref, Commit: planCommit(from.commit),
		Actor: c.pusher(), Received: c.clock(), Name: name,
	}
	t.Request = t.ID
	req := blueprint.Request{
		Name: name, Trigger: t, Config: t.Commit, Given: given, Lookup: c.lookup,
		Git: facts(ctx, from.repo, from.ref, from.commit), Stored: c.deskAt(from.repo).stored,
		Changed: from.changed,
	}
	p, err := c.draw(ctx, config, &req)
	if err != nil {
		return nil, err
	}
	j := &job{repo: from.repo, plan: p, trigger: t, secrets: map[string]string{}, record: *f.record, json: *f.json}
	j.trigger.Parameters = maps.Clone(req.Given)
	for _, name := range secretNames(p) {
		if value, ok := req.Given[name]; ok {
			j.secrets[name] = value
		} else if value, ok := c.lookup(name); ok {
			j.secrets[name] = value
		}
		delete(j.trigger.Parameters, name) // a secret is never stored
	}
	return j, nil
}

// build makes the build and shows it. The end of ctx cancels it.
func (c *cli) build(ctx context.Context, j *job) (*build.Build, error) {
	dir, err := os.MkdirTemp(j.folder, "velocity-run-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for logs: %w", err)
	}
	defer os.RemoveAll(dir)
	wire := &dispatch.Direct{Name: "run-" + filepath.Base(dir)}
	a := architect.New(wire, silent(), c.clock)
	a.Within = func(string) bool { return true }
	wire.Ear = a
	site, release, err := c.runSite(ctx, j, dir, a)
	if err != nil {
		return nil, err
	}
	b, err := c.runOn(ctx, j, dir, wire, a, site)
	return b, errors.Join(err, release())
}

// runSite is where the build is recorded: in memory, or in the repository.
func (c *cli) runSite(ctx context.Context, j *job, dir string, a *architect.Architect) (*architect.Site, func() error, error) {
	logs, err := running.New(filepath.Join(dir, "running"))
	if err != nil {
		return nil, nil, err
	}
	modules, err := modulesOf(ctx, j.repo, repositoryConfig{})
	if err != nil {
		return nil, nil, err
	}
	site := &architect.Site{Name: nameOf(j.repo), Repo: view{j.repo}, Logs: logs, Vault: &vault{c: c, repo: j.repo}, Modules: modules}
	if !j.record {
		ledger := memory.New(a.Folded)
		site.Ledger, site.Inbox, site.History, site.Source = ledger, ledger, nothing{}, j.repo.WorkTree()
		return site, func() error { ledger.Release(); return nil }, nil
	}
	ledger, err := c.acquire(ctx, j.repo, holderRun, true, a.Folded, a.Fail)
	if err != nil {
		return nil, nil, err
	}
	site.Ledger, site.Inbox, site.History, site.Source = ledger, ledger, nothing{}, j.repo.CommonDir()
	return site, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), releaseWithin)
		defer cancel()
		return ledger.Release(ctx)
	}, nil
}

// nothing is a history without a past: a run makes its own build and leaves those
// of others alone.
type nothing struct{}

func (nothing) Live(context.Context) ([]architect.Loaded, error) { return nil, nil }
func (nothing) Tips(context.Context) (map[string]plan.Commit, bool, error) {
	return nil, true, nil
}
func (nothing) Marks(context.Context) ([]build.Mark, error)                      { return nil, nil }
func (nothing) OfCommit(context.Context, plan.Commit) ([]architect.Known, error) { return nil, nil }
func (nothing) Green(context.Context, plan.Commit, string) (bool, error)         { return false, nil }
func (nothing) Recorded(context.Context, build.ID) (l architect.Loaded, ok bool, err error) {
	return l, false, nil
}
func (nothing) Reusable(context.Context, []string) (map[string]build.Success, error) {
	return nil, nil
}

// runOn builds with a builder of this process.
func (c *cli) runOn(ctx context.Context, j *job, dir string, wire *dispatch.Direct, a *architect.Architect, site *architect.Site) (b *build.Build, err error) {
	worker, err := c.newBuilder(wire.Name, dir, serviceOptions{execute: j.on, capacity: j.capacity, log: silent()})
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(worker.SpoolDir, 0o700); err != nil {
		return nil, fmt.Errorf("make a folder for logs: %w", err)
	}
	address := ""
	if j.record { // others than this repository's users may read there what has no name of its own
		address = c.env[envBlobs]
	}
	kept := newShelves(c, address)
	defer func() { err = errors.Join(err, kept.close()) }()
	kept.add(anyStore, j.repo)
	worker.Keeper, worker.InPlace = keeper{kept}, !j.record
	if !j.record {
		worker.Workspaces = &checkout.InPlace{Dir: j.repo.WorkTree()}
	}
	worker.Architect = wire
	wire.Worker = worker
	if err := a.Open(ctx, site); err != nil {
		return nil, err
	}
	ending, end := context.WithCancel(context.WithoutCancel(ctx))
	broken := make(chan error, 1)
	go func() { broken <- a.Run(ending) }()
	working, stop := context.WithCancel(ending)
	idle := make(chan struct{})
	go func() { defer close(idle); worker.Run(working) }()
	b, err = c.follow(ctx, j, a, site, broken)
	stop()
	<-idle
	end()
	return b, err
}

// displayOf is where the build is shown. The caller calls the function at the end.
func (c *cli) displayOf(j *job) (display, func()) {
	if j.display != nil {
		return j.display()
	}
	out := c.Out
	if j.json {
		out = c.Err
	}
	progress, closeDisplay := c.progress(out)
	return show{on: progress, anonymous: !j.record}, closeDisplay
}

// follow submits the build and shows it to its end.
func (c *cli) follow(ctx context.Context, j *job, a *architect.Architect, site *architect.Site, broken <-chan error) (*build.Build, error) {
	on, closeDisplay := c.displayOf(j)
	defer closeDisplay()
	watching, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	go func() {
		select {
		case err := <-broken:
			cancel(err) // what cannot be recorded has no end to wait for
		case <-watching.Done():
		}
	}()
	v, err := a.Submit(watching, site, j.plan, j.trigger, j.secrets)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	b, _, _ := v.State()
	stop := context.AfterFunc(ctx, func() { _ = a.Cancel(watching, b.ID, "canceled") }) // over already, or canceled
	defer stop()
	if err := v.Follow(watching, on); err != nil {
		return nil, err
	}
	b, _, _ = v.State()
	return on.end(b), nil
}
