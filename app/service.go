package app

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/velocity-ci/velocity/app/metrics"
	"github.com/velocity-ci/velocity/app/traces"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/architect/dispatch/server"
	"github.com/velocity-ci/velocity/builder"
	"github.com/velocity-ci/velocity/builder/docker"
	"github.com/velocity-ci/velocity/builder/egress"
	"github.com/velocity-ci/velocity/builder/host"
	checkout "github.com/velocity-ci/velocity/builder/source"
	"github.com/velocity-ci/velocity/storage/blob"
	"github.com/velocity-ci/velocity/storage/roster"
)

// stepGrace is how long a canceled step may take to end by itself. With what
// follows it stays below the ten seconds that a cancel may take.
const stepGrace = 5 * time.Second

// An executors setting says where steps may run.
type executors struct {
	host      bool // steps without an image run on this machine
	forImages bool // steps with an image, too
	docker    bool
}

// A service is an architect with the repositories it serves, the wires between it
// and builders, and a socket in each repository.
type service struct {
	c         *cli
	log       *slog.Logger
	architect *architect.Architect
	houses    houses
	options   serviceOptions
	nats      *server.Server // nil if no builder is met in this process
	hub       *dispatch.Hub  // on it
	cluster   *cluster       // nil if builders are not met on one
	builder   *builder.Builder
	link      *dispatch.Link

	signer   *dispatch.Signer
	keys     *dispatch.Keys         // the embedded builder's, as old as the process
	embedded atomic.Pointer[string] // its name; nil before it has one
	inside   atomic.Bool            // it runs
	hangUp   func()                 // ends its connection; nil before there is one
	unneeded chan struct{}          // closed when it shall end before the service does
	once     sync.Once              // closes it
	front    *front                 // nil if only the sockets are answered
	roster   *roster.Roster         // nil without a front
	fleet    fleet                  // registered builders; none without a front
	shelves  *shelves
	forges   *forges     // nil if no forge is configured, and none can be
	gathered atomic.Bool // set when all that was served before is served again

	metrics *metrics.Metrics // nil if nobody can read them
	scrapes net.Listener     // nil if they are not read on an address of their own
	traces  *traces.Sender   // nil if none are sent
	taking  atomic.Bool      // builds are taken in

	keepBlobs blob.Retention
}

// serviceOptions say what a service serves, and how.
type serviceOptions struct {
	paths      []string
	configured *serverConfig // nil for those that nobody configures
	who        string        // for the lock
	wait       bool          // for holders of the lock that end by themselves
	execute    executors
	builder    bool // run the embedded builder
	capacity   int
	attempts   int
	opened     func(*architect.Watch) // shown every build; may be nil
	log        *slog.Logger
	metrics    *metrics.Metrics // told what is recorded; may be nil

	plugins *plugins // told of builds; nil if there are none

	publish     string // the remote that builds are published to; "" for none
	publishLogs bool
	publishing  chan struct{} // has a place for each repository of a forge that is published at the same time
}

// newService takes the locks and connects the parts; run makes them work. The
// caller must close it.
func (c *cli) newService(ctx context.Context, o serviceOptions) (s *service, err error) {
	s = &service{c: c, log: o.log, options: o, unneeded: make(chan struct{}), shelves: newShelves(c, c.blobsOf(o.configured)), keepBlobs: o.configured.blobs()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
			s = nil
		}
	}()
	if s.keys, err = dispatch.NewKeys(); err != nil {
		return s, err
	}
	if s.signer, err = c.signerOf(ctx, o.configured); err != nil {
		return s, err
	}
	s.architect = architect.New(nil, o.log, c.clock)
	s.architect.Attempts, s.architect.Opened = o.attempts, o.opened
	s.architect.Gathering = func() bool { return !s.gathered.Load() }
	s.architect.Within = func(builder string) bool { return s.inside.Load() && s.isEmbedded(builder) }
	if o.configured != nil {
		if o.plugins, err = s.newPlugins(o.configured); err != nil {
			return s, err
		}
		s.options.plugins = o.plugins
	}
	if o.configured.public() {
		s.architect.Fit, s.architect.Seal = true, sealOf(s.signer)
	}
	if err = s.observe(ctx, &o); err != nil {
		return s, err
	}
	if err = s.connect(ctx, o); err != nil {
		return s, err
	}
	for _, path := range o.paths {
		house, err := c.serveRepository(ctx, path, o, s.architect)
		if err != nil {
			return s, err
		}
		if err := s.shelve(house); err != nil {
			return s, errors.Join(err, house.release(ctx))
		}
		s.houses.add(house)
	}
	if o.builder {
		err = s.embed(ctx, o)
	}
	return s, err
}

// embeddedName is the name of this process' builder, with the folder for its files
// if its user has none. It goes with the first repository's store, or else with the
// server's key, so that after a crash the next process finds what this one left.
func (s *service) embeddedName(ctx context.Context) (name, folder string, err error) {
	if all := s.houses.list(); len(all) > 0 {
		store, err := all[0].ledger.ID()
		return "embedded-" + store, all[0].folder, err
	}
	state, err := s.c.openState(ctx, s.options.configured.State)
	if err != nil {
		return "", "", err
	}
	key := sha256.Sum256([]byte(s.signer.Public()))
	return fmt.Sprintf("embedded-%x", key[:6]), folderOf(state), nil
}

// embed makes the builder of this process.
func (s *service) embed(ctx context.Context, o serviceOptions) error {
	name, folder, err := s.embeddedName(ctx)
	if err != nil {
		return err
	}
	s.embedded.Store(&name)
	home, err := s.c.builderHome(name, folder)
	if err != nil {
		return err
	}
	conn, err := dispatch.Dial(ctx, "", name, s.keys, dispatch.DialOptions{InProcess: s.nats, Log: s.log})
	if err != nil {
		return err
	}
	s.hangUp = conn.Close
	b, err := s.c.newBuilder(name, home, o)
	if err != nil {
		return err
	}
	if o.configured != nil {
		b.Labels = o.configured.Builder.Labels
	}
	if hidden := unshown(ctx, b.Docker, home); hidden != nil {
		s.log.Warn("steps in containers will fail", "err", hidden, "advice", hidden.advice)
	}
	if err := b.Reap(ctx); err != nil {
		s.log.Warn("leftovers of an earlier process stay", "err", err)
	}
	work := &gate{ready: make(chan struct{}), worker: b}
	if s.link, err = dispatch.Join(conn, name, work, dispatch.Trust{Architect: s.signer.Public(), Keys: s.keys, Log: s.log, Now: s.c.clock}); err != nil {
		return err
	}
	b.Architect, b.Keeper = s.link, keeper{s.shelves}
	close(work.ready)
	s.builder = b
	return nil
}

// dismissBuilder ends the embedded builder, if there is one, before the service.
func (s *service) dismissBuilder() { s.once.Do(func() { close(s.unneeded) }) }

// build runs the embedded builder until ctx ends or it is not needed any more. What
// it had then is tried again elsewhere.
func (s *service) build(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	over := make(chan struct{})
	go func() {
		defer close(over)
		select {
		case <-s.unneeded:
			stop()
		case <-ctx.Done():
		}
	}()
	s.inside.Store(true)
	s.builder.Run(ctx)
	s.inside.Store(false)
	stop()
	<-over
	s.link.Close() // nothing is assigned to it after that
}

// builderOf finds a builder by its public key: the embedded one, or one that is
// registered.
func (s *service) builderOf(public string) (string, bool) {
	if name := s.embedded.Load(); name != nil && public == s.keys.Public() {
		return *name, true
	}
	return s.fleet.builderOf(public)
}

// curveOf is the key that a builder's secrets are sealed to.
func (s *service) curveOf(builder string) (string, bool) {
	if s.isEmbedded(builder) {
		return s.keys.Curve(), true
	}
	return s.fleet.curveOf(builder)
}

// builderHome is a folder for a builder's workspaces and logs: in the user's
// cache, or in the repository if the user has none.
func (c *cli) builderHome(name, fallback string) (string, error) {
	base := c.env["XDG_CACHE_HOME"]
	if base == "" && c.env["HOME"] != "" {
		base = filepath.Join(c.env["HOME"], ".cache")
	}
	home := filepath.Join(base, "velocity", name)
	if base == "" || os.MkdirAll(home, 0o700) != nil {
		home = filepath.Join(fallback, "builder")
	}
	if err := os.MkdirAll(filepath.Join(home, "spool"), 0o700); err != nil {
		return "", fmt.Errorf("make the builder's folder: %w", err)
	}
	return home, nil
}

// newBuilder is a builder with fresh checkouts below home.
func (c *cli) newBuilder(name, home string, o serviceOptions) (*builder.Builder, error) {
	b := &builder.Builder{
		Name: name, Boot: rand.Text(), Capacity: o.capacity,
		Workspaces: &checkout.Fresh{Mirrors: filepath.Join(home, "mirrors"), Work: filepath.Join(home, "work"), Now: c.clock, Limit: usualMirrors},
		Files:      &egress.Files{Dir: filepath.Join(home, "files")},
		SpoolDir:   filepath.Join(home, "spool"), Memory: memoryFolder(),
		Grace: stepGrace, Log: o.log, Now: c.clock,
	}
	if b.Capacity <= 0 {
		b.Capacity = runtime.NumCPU()
	}
	return b, c.execute(b, home, o.execute, o.log)
}

// memoryFolder is where everybody has files in memory on Linux; "" where there is
// no such place.
func memoryFolder() string {
	const folder = "/dev/shm"
	if unix.Access(folder, unix.W_OK|unix.X_OK) != nil {
		return ""
	}
	return folder
}

// execute gives a builder its executors, which have home for their files.
func (c *cli) execute(b *builder.Builder, home string, on executors, log *slog.Logger) error {
	if on.host {
		b.Host = &host.Executor{Builder: b.Name, Base: c.stepEnvironment()}
		b.HostForImages = on.forImages
	}
	if on.docker {
		return c.engine(b, home, docker.Limits{}, log)
	}
	return nil
}

// stepEnvironment is what host steps see of this process' environment: all of it
// but what is about git's current command or about Velocity itself, and what opens
// the receiver of its traces.
func (c *cli) stepEnvironment() []string {
	var env []string
	for name, value := range c.env {
		ours := strings.HasPrefix(name, "VELOCITY_") && name != "VELOCITY_ATTEMPT"
		key := strings.HasPrefix(name, "OTEL_EXPORTER_OTLP_") && strings.HasSuffix(name, "HEADERS")
		if !ours && !key && name != envManager && !strings.HasPrefix(name, "GIT_") {
			env = append(env, name+"="+value)
		}
	}
	return env
}
