package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/builder"
	"github.com/velocity-ci/velocity/builder/docker"
	"github.com/velocity-ci/velocity/builder/egress"
	"github.com/velocity-ci/velocity/builder/host"
	checkout "github.com/velocity-ci/velocity/builder/source"
	"github.com/velocity-ci/velocity/storage/git"
)

const (
	// keepResults is how long a builder tries to report what it did.
	keepResults = 24 * time.Hour

	// leaseMargin is what a builder waits beyond the time after which the architect
	// gives its attempts to others, before it takes no work by itself: an
	// assignment may be on its way.
	leaseMargin = dispatch.BeatEvery
)

// An agent is a builder on a machine of its own.
type agent struct {
	c          *cli
	state      string
	settings   *agentSettings
	credential *credential
	keys       *dispatch.Keys
	log        *slog.Logger
}

// newBuilder makes the builder that the settings describe. It connects nowhere.
func (a *agent) newBuilder() (*builder.Builder, error) {
	s := a.settings
	own, err := a.credential.authorityFile(a.state)
	if err != nil {
		return nil, err
	}
	fetch := git.FetchOptions{Authorities: cmp.Or(own, a.c.env["SSL_CERT_FILE"])}
	if strings.HasPrefix(a.credential.Server, "http://") { // on this machine, as its registration saw to
		fetch.Transports = []string{"http"}
	}
	far, err := newFarKeeper(a.credential)
	if err != nil {
		return nil, err
	}
	b := &builder.Builder{
		Name: a.credential.identity(a.keys.Public()), Boot: rand.Text(), Capacity: s.capacity,
		Labels: s.labels, Untrusted: s.untrusted, Version: programVersion().Version,
		Workspaces: &checkout.Fresh{
			Mirrors: filepath.Join(a.state, "mirrors"), Work: filepath.Join(a.state, "work"),
			Fetch: fetch, Now: a.c.clock, Limit: s.mirrorLimit,
		},
		Source:   a.credential.source,
		Keeper:   far,
		Files:    &egress.Files{Dir: filepath.Join(a.state, "files")},
		SpoolDir: filepath.Join(a.state, "spool"), Memory: memoryFolder(),
		Grace: stepGrace, Log: a.log, Now: a.c.clock,
		Keep: keepResults, Lease: dispatch.LostAfter + leaseMargin,
		Limit: s.timeout, LogLimit: s.logLimit, WorkspaceLimit: s.workspaceLimit, DiskFloor: s.diskFloor, SpoolLimit: s.spoolLimit,
	}
	if s.reattach {
		b.Sealer = a.keys
	}
	if s.execute.host {
		b.Host = &host.Executor{Builder: b.Name, Base: a.c.bareEnvironment()}
		b.HostForImages = s.execute.forImages
	}
	if s.execute.docker {
		limits := docker.Limits{PIDs: s.pids, Memory: s.memory, CPUs: s.cpus}
		if err := a.c.engine(b, a.state, limits, a.log); err != nil {
			return nil, err
		}
	}
	if s.engineFloor {
		b.Floor = floorOf(b)
	}
	return b, nil
}

// bareEnvironment is what host steps see of a registered builder's environment:
// the way to its programs and how it writes, and no secret that a service may
// have been given.
func (c *cli) bareEnvironment() []string {
	var env []string
	for _, name := range []string{"PATH", "LANG", "LC_ALL", "TZ"} {
		if value, ok := c.env[name]; ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// run works until ctx ends and then drains; a second signal, or the end of the
// grace, hands back what has not ended by then.
func (a *agent) run(ctx context.Context) error {
	b, err := a.newBuilder()
	if err != nil {
		return err
	}
	if hidden := unshown(ctx, b.Docker, a.state); hidden != nil {
		return hidden
	}
	if err := b.Reap(ctx); err != nil {
		a.log.Warn("leftovers of an earlier process stay", slog.Any("error", err))
	}
	if b.Host != nil {
		a.log.Warn("steps run on this machine: whoever can push to a repository of the architect runs code as this user",
			slog.Int("uid", os.Getuid()))
	}
	leave, err := a.connect(ctx, b)
	if err != nil {
		if ctx.Err() != nil {
			return nil // asked to end before there was anybody to work for
		}
		return err
	}
	defer leave()
	alive, err := a.c.answerHealth(ctx, a.log)
	if err != nil {
		return err
	}
	defer alive()
	a.log.Info("builder is ready", slog.String("builder", a.credential.Name), slog.String("architect", a.credential.Server),
		slog.Int("capacity", b.Capacity))
	a.c.tellManager(ctx, managerReady, a.log)
	working, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	idle := make(chan struct{})
	go func() { defer close(idle); b.Run(working) }()
	err = finish(ctx, working, a.settings.grace, func(within context.Context) error {
		a.log.Info("draining: takes nothing new and finishes what runs; a second signal hands it back")
		a.c.tellManager(within, managerStopping, a.log)
		return b.Drain(within)
	})
	if err != nil {
		a.log.Warn("handing back what has not ended", slog.Any("error", err))
	}
	end()
	<-idle
	return nil
}
