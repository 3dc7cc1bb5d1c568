package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/git"
)

// mirrorsFolder is the folder of the mirrors in a server's state.
const mirrorsFolder = "repositories"

// fetchWithin bounds one fetch of a mirror: the first one of a big repository takes
// a while, and one that hangs holds up those that come after it.
const fetchWithin = 30 * time.Minute

// mirrors are a server's copies of repositories on forges, each in a bare
// repository that also has the ledger of its builds. They are safe for concurrent
// use.
type mirrors struct {
	folder     string
	transports []string // beyond https
	log        *slog.Logger
	now        func() time.Time

	live context.Context // until close
	end  context.CancelCauseFunc
	work sync.WaitGroup

	mu  sync.Mutex
	all map[forge.Key]*mirror
}

// newMirrors has those in a state folder. The caller must close it.
func newMirrors(state string, transports []string, log *slog.Logger, now func() time.Time) *mirrors {
	m := &mirrors{folder: filepath.Join(state, mirrorsFolder), transports: transports, log: log, now: now, all: map[forge.Key]*mirror{}}
	m.live, m.end = context.WithCancelCause(context.Background())
	return m
}

// close ends fetches under way. Those that are asked for afterwards fail.
func (m *mirrors) close() {
	m.mu.Lock()
	m.end(errNotRunning)
	m.mu.Unlock()
	m.work.Wait()
}

// of is the mirror of a repository, whether or not it is on the disk yet.
func (m *mirrors) of(key forge.Key) *mirror {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all[key] == nil {
		m.all[key] = &mirror{of: m, key: key, dir: filepath.Join(m.folder, key.String()+".git")}
	}
	return m.all[key]
}

// goOn runs work that close waits for; false if it was closed.
func (m *mirrors) goOn(work func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.live.Err() != nil {
		return false
	}
	m.work.Go(work)
	return true
}

// A mirror is our copy of one repository. It is fetched by one at a time, and those
// who ask meanwhile share the next fetch.
type mirror struct {
	of  *mirrors
	key forge.Key
	dir string

	mu   sync.Mutex
	busy bool      // somebody fetches
	next *fetching // what is fetched after that; nil if nobody asks for more

	tidying sync.Mutex
}

// A fetching is a fetch that was asked for, by one or more.
type fetching struct {
	want       forge.Repository
	credential git.Credential
	pulls      map[int64]bool

	done chan struct{} // closed when it is over, and the rest is set
	repo *git.Repository
	err  error
}

// Refresh brings the mirror, made if absent, up to date with the branches, tags and
// default branch of a repository on a forge, and with the heads of pull requests as
// far as it has them. What it brings was there after Refresh was called. A pull
// request's head that is gone there stays here until Tidy removes it.
//
// A fetch under way does not end with ctx, only the waiting for it does.
func (m *mirror) Refresh(ctx context.Context, r forge.Repository, credential forge.Credential, pulls []int64) (*git.Repository, error) {
	f := m.ask(r, credential, pulls)
	select {
	case <-f.done:
		return f.repo, f.err
	case <-ctx.Done():
		return nil, fmt.Errorf("fetch %s: %w", r.Name, context.Cause(ctx))
	}
}

// ask joins the fetch that is next.
func (m *mirror) ask(r forge.Repository, credential forge.Credential, pulls []int64) *fetching {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.next == nil {
		m.next = &fetching{pulls: map[int64]bool{}, done: make(chan struct{})}
	}
	f := m.next
	f.want, f.credential = r, gitCredential(credential) // the latest is the least likely to have expired
	for _, n := range pulls {
		f.pulls[n] = true
	}
	if !m.busy {
		m.busy = m.of.goOn(m.fetchAll)
	}
	if !m.busy {
		m.next, f.err = nil, errNotRunning
		close(f.done)
	}
	return f
}

// fetchAll fetches as long as somebody asks.
func (m *mirror) fetchAll() {
	for {
		m.mu.Lock()
		f := m.next
		m.next, m.busy = nil, f != nil
		m.mu.Unlock()
		if f == nil {
			return
		}
		f.repo, f.err = m.fetch(f)
		close(f.done)
		if f.err == nil {
			m.maintain(f.repo)
		}
	}
}

// maintain looks after the mirror beside the next fetches. That it fails costs
// time, and the next one tries again.
func (m *mirror) maintain(repo *git.Repository) {
	m.of.goOn(func() {
		if err := repo.Maintain(m.of.live, m.of.now()); err != nil && m.of.live.Err() == nil {
			m.of.log.Warn("a mirror is not maintained", "mirror", m.key.String(), "err", err)
		}
	})
}

func (m *mirror) fetch(f *fetching) (*git.Repository, error) {
	ctx, cancel := context.WithTimeoutCause(m.of.live, fetchWithin, fmt.Errorf("it took longer than %s", fetchWithin))
	defer cancel()
	options := git.FetchOptions{Transports: m.of.transports, Credential: f.credential, Head: f.want.DefaultBranch}
	for n := range f.pulls {
		options.Refs = append(options.Refs, m.key.Kind.Ref(n))
	}
	repo, err := m.mirrored(ctx, f.want.Clone, options)
	if err == nil {
		return repo, nil
	}
	if m.damage(ctx) != nil {
		if err = m.clear(ctx); err == nil {
			m.of.log.Warn("a damaged mirror without builds is made anew", "mirror", m.key.String())
			repo, err = m.mirrored(ctx, f.want.Clone, options)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", f.want.Name, err)
	}
	return repo, nil
}

// Open opens the mirror as it is. A fetch that was killed may have left it locked for
// fetches, which the next one sees to.
func (m *mirror) Open(ctx context.Context) (*git.Repository, error) {
	repo, err := git.Open(ctx, m.dir)
	if err != nil {
		return nil, fmt.Errorf("open the mirror of %s: %w", m.key, err)
	}
	return repo, nil
}

func (m *mirror) mirrored(ctx context.Context, url string, options git.FetchOptions) (*git.Repository, error) {
	if err := os.MkdirAll(m.of.folder, 0o700); err != nil {
		return nil, fmt.Errorf("make a folder for mirrors: %w", err)
	}
	if err := m.unlock(ctx); err != nil {
		return nil, err
	}
	return git.FetchMirror(ctx, url, m.dir, options)
}

// unlock removes the locks of refs that a fetch has left which was killed, as when
// the server was stopped: no fetch could move those refs any more. Nobody else
// writes them, and this one has not begun.
func (m *mirror) unlock(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(m.dir, "HEAD")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	repo, err := git.Open(ctx, m.dir)
	if err != nil {
		return nil //nolint:nilerr // damage is for those to tell who look for it
	}
	stale, err := repo.StaleLocks([]string{plan.BranchPrefix, plan.TagPrefix, "refs/pull/", "refs/merge-requests/"}, math.MinInt64, m.of.now())
	for _, path := range stale {
		if strings.Contains(path, "/refs/") { // and not packed-refs, which the ledger may be writing
			err = errors.Join(err, os.Remove(path))
		}
	}
	if err != nil {
		return fmt.Errorf("remove what a fetch left behind: %w", err)
	}
	return nil
}

// damage says what is wrong with the mirror, as far as a look at what its branches
// and tags point to shows it. One that was never made, or not to the end, is all
// right: the next fetch goes on with it.
func (m *mirror) damage(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(m.dir, "HEAD")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	repo, err := git.Open(ctx, m.dir)
	var owner *git.OwnerError
	if errors.As(err, &owner) {
		return nil // somebody else's, and not ours to judge
	}
	if err != nil {
		return err
	}
	refs, broken, err := repo.Refs("refs/")
	if err != nil {
		return err
	}
	if len(broken) > 0 {
		return &broken[0]
	}
	for _, ref := range refs {
		if _, err := repo.Peel(ref.Hash); errors.Is(err, git.ErrObjectNotFound) {
			return fmt.Errorf("%s: %w", ref.Name, err)
		}
	}
	return nil
}

// clear removes a damaged mirror, unless it has builds: they are nowhere else.
func (m *mirror) clear(ctx context.Context) error {
	damage := m.damage(ctx)
	if holds, err := holdsBuilds(m.dir); err != nil || holds {
		return errors.Join(fmt.Errorf("the mirror %s is damaged (%w) and has builds: velocity fsck --repair --repo %s mends what can be mended; "+
			"moved elsewhere, it is fetched anew without them", m.dir, damage, m.dir), err)
	}
	if err := os.RemoveAll(m.dir); err != nil {
		return fmt.Errorf("remove a damaged mirror: %w", err)
	}
	return nil
}

// holdsBuilds reports whether a ledger was begun in the bare repository at dir. It
// reads no more of the repository than that, which may be damaged in any way.
func holdsBuilds(dir string) (bool, error) {
	for _, sign := range []string{"velocity/store", "refs/velocity"} {
		if _, err := os.Lstat(filepath.Join(dir, sign)); !errors.Is(err, fs.ErrNotExist) {
			return err == nil, err
		}
	}
	packed, err := os.ReadFile(filepath.Join(dir, "packed-refs"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return strings.Contains(string(packed), " refs/velocity/"), err
}

// gitCredential is a credential as git takes it; none if there is no password.
func gitCredential(c forge.Credential) git.Credential {
	if c.Password() == "" {
		return git.Credential{}
	}
	return git.NewCredential(c.User, c.Password())
}
