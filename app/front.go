package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/metrics"
	"github.com/velocity-ci/velocity/app/socket"
	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/git"
	"github.com/velocity-ci/velocity/storage/roster"
)

// ownRepository is the server's own repository within its state.
const ownRepository = "architect.git"

// packsOfRoster is how many packs of changes the server's own repository keeps
// before they are merged, when a server starts.
const packsOfRoster = 32

// A front is the public port of a server, with the lock on its state and a socket
// there for commands on this machine.
type front struct {
	web     *web.Front
	state   string
	proxied bool // only a proxy can reach the public port
	release func() error
	metrics *metrics.Metrics
	public  net.Listener
	local   net.Listener
}

// stateFolder is where the server keeps what is its own.
func (c *cli) stateFolder(configured string) (string, error) {
	if configured != "" {
		return filepath.Abs(configured)
	}
	base := c.env["XDG_STATE_HOME"]
	if base == "" {
		if c.env["HOME"] == "" {
			return "", usage("there is no home folder to keep the server's state in").hint("--state names a folder")
		}
		base = filepath.Join(c.env["HOME"], ".local", "state")
	}
	return filepath.Join(base, "velocity"), nil
}

// openState opens the server's own repository, made if absent. Nobody else may
// read it: it says who may do what.
func (c *cli) openState(ctx context.Context, configured string) (*git.Repository, error) {
	folder, err := c.stateFolder(configured)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) { // it may be a slip in writing the name
		fmt.Fprintf(c.Err, "velocity: making the state folder %s\n", term.Clean(folder))
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make the state folder: %w", err)
	}
	repo, err := git.MakeBare(ctx, filepath.Join(folder, ownRepository))
	if err != nil {
		return nil, fmt.Errorf("open the server's own repository: %w", err)
	}
	return repo, nil
}

// openFront takes the state's lock and listens.
func (c *cli) openFront(ctx context.Context, s *service, conf *serverConfig) (f *front, err error) {
	repo, err := c.openState(ctx, conf.State)
	if err != nil {
		return nil, err
	}
	f = &front{state: filepath.Dir(repo.CommonDir()), proxied: conf.Proxy, metrics: s.metrics}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
			f = nil
		}
	}()
	f.release, err = c.openStore(repo).Hold(holderServe)
	var held *storage.HeldError
	if errors.As(err, &held) {
		return f, &failure{status: statusProblem, err: fmt.Errorf("the state folder %s is in use by %s", f.state, held.Holder)}
	}
	if err != nil {
		return f, err
	}
	if err := unlock(repo, c.now()); err != nil {
		return f, err
	}
	if err := repo.Upkeep(ctx, packsOfRoster); err != nil {
		s.log.Warn("the server's own repository stays as it is", "err", err)
	}
	registered := roster.Open(repo, c.clock)
	if err := s.enlist(ctx, registered); err != nil {
		return f, err
	}
	if f.web, err = c.frontOf(s, registered, conf); err != nil {
		return f, err
	}
	f.web.Secrets, f.web.Known = c.stateVault(repo), c.knownIn(repo)
	if f.local, err = socket.Listen(ctx, folderOf(repo)); err != nil {
		return f, err
	}
	f.public, err = listenPublic(ctx, conf, s)
	return f, err
}

// writtenWithin is how long a change of the server's own repository takes at most.
const writtenWithin = time.Minute

// unlock removes the locks of refs that killed writers have left in the server's own
// repository: with one on it, a ref could never be written again.
func unlock(repo *git.Repository, now time.Time) error {
	stale, err := repo.StaleLocks([]string{storage.RefPrefix}, writtenWithin, now)
	for _, path := range stale {
		err = errors.Join(err, os.Remove(path))
	}
	if err != nil {
		return fmt.Errorf("remove stale locks of the server's own repository: %w", err)
	}
	return nil
}

// frontOf is the API over all repositories of a service. What they stay known by
// tells them apart, which is the name for those on this machine: two of the same name
// would be one to a token, and one named like a forge's key would be that forge's.
func (c *cli) frontOf(s *service, r *roster.Roster, conf *serverConfig) (*web.Front, error) {
	f := &web.Front{
		Roster: r, Now: c.now, Log: s.log, Ready: s.ready, Metrics: s.metrics.Handler(),
		Attempt: s.architect.Admits, Members: s.architect.Members, Architect: s.signer.Public(),
		Changed: func(builder string) { s.turned(builder) }, Sessions: sessionsOf(s.signer, conf), Description: sync.OnceValues(describe), URL: conf.URL,
		Blobs: &web.Blobs{Holds: s.architect.Holds, Store: s.shelves.of, Limit: int64(conf.Blobs.Limit)},
	}
	if s.cluster == nil {
		f.NATS, f.Address = s.nats, natsAddress(conf.URL)
	} else {
		f.Address, f.Reload = conf.NATS.told(), true
		var err error
		if f.Authorities, err = readAuthorities(conf.NATS.CA); err != nil {
			return nil, err
		}
	}
	seen := map[string]bool{}
	for _, h := range s.houses.list() {
		if _, like := forge.ParseKey(h.site.Name); like {
			return nil, usage("a repository is named %q, as one of a forge is: tokens could not tell them apart", h.site.Name).
				hint("repositories: [{path: PATH, name: NAME}] in the configuration file gives it another name")
		}
		if seen[h.site.Name] {
			return nil, usage("two repositories are named %q: tokens could not tell them apart", h.site.Name).
				hint("repositories: [{path: PATH, name: NAME}] in the configuration file gives one another name")
		}
		seen[h.site.Name] = true
	}
	return f, nil
}

// natsPath is where a server without a cluster meets its builders.
const natsPath = "/nats"

// natsAddress is where builders connect: on the server's public address if that
// is known, else wherever they registered.
func natsAddress(public string) string {
	if public == "" {
		return natsPath
	}
	return "ws" + strings.TrimPrefix(strings.TrimSuffix(public, "/"), "http") + natsPath
}

// listenPublic listens where the configuration says, with TLS if it names a
// certificate.
func listenPublic(ctx context.Context, conf *serverConfig, s *service) (net.Listener, error) {
	var secure *tls.Config
	if conf.TLS.Certificate != "" {
		pair := &certificate{file: conf.TLS.Certificate, key: conf.TLS.Key, log: s.log}
		if err := pair.load(); err != nil {
			return nil, usage("%w", err)
		}
		secure = &tls.Config{
			MinVersion: tls.VersionTLS12, GetCertificate: pair.get,
			NextProtos: []string{"h2", "http/1.1"},
		}
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", conf.Listen)
	if err != nil {
		return nil, unheard(err)
	}
	s.log.Info("listening", "address", l.Addr().String(), "tls", secure != nil)
	if secure != nil {
		l = tls.NewListener(l, secure)
	}
	return l, nil
}

// unheard is an address that nobody can be answered on.
func unheard(err error) *failure {
	f := usage("listen: %w", err)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return f.hint("another process listens there: end it, or name another port")
	case errors.Is(err, fs.ErrPermission):
		return f.hint("ports below 1024 take the capability CAP_NET_BIND_SERVICE; or put a proxy before another port")
	}
	return f
}

// endWithin is how long requests under way may take to end when the server does.
const endWithin = 5 * time.Second

// serve answers until ctx ends. Requests under way end with it: what they asked
// for is durable or was not promised, and who follows a build can ask the next
// server.
func (f *front) serve(ctx context.Context) error {
	handler := f.metrics.Requests(f.web.Handler())
	outside := handler
	if f.proxied {
		outside = web.Proxied(handler)
	}
	public := apiServer(ctx, outside, f.web.Log)
	local := apiServer(ctx, web.Local(handler), f.web.Log)
	ended := make(chan error, 2)
	go func() { ended <- public.Serve(f.public) }()
	go func() { ended <- local.Serve(f.local) }()
	var err error
	left := 2
	select {
	case <-ctx.Done():
	case err = <-ended:
		left--
	}
	endServers(ctx, public, local)
	for range left {
		if last := <-ended; err == nil && !errors.Is(last, http.ErrServerClosed) {
			err = last
		}
	}
	if err != nil {
		return fmt.Errorf("serve %s: %w", f.public.Addr(), err)
	}
	return nil
}

// close gives back what openFront took.
func (f *front) close() error {
	for _, l := range []net.Listener{f.public, f.local} {
		if l != nil {
			_ = l.Close() // closed already if it was served
		}
	}
	if f.release == nil {
		return nil
	}
	return f.release()
}
