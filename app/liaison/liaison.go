// Package liaison carries out what forges ask for. It works off the deliveries in
// the inbox, and compares now and then what forges have with what was planned, so
// that a delivery that never came costs minutes and not builds.
//
// A delivery only says where to look: the repository is found by its number in our
// own records, the commit is read from git, and whether somebody may do what they
// ask for is asked of the forge at that moment.
package liaison

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/hooks"
	"github.com/velocity-ci/velocity/storage/project"
)

// A Forge answers questions. Its errors are those of package forge.
type Forge interface {
	// Repositories lists all that we may build.
	Repositories(ctx context.Context) ([]forge.Repository, error)
	// Repository finds one by its number.
	Repository(ctx context.Context, installation, id int64) (forge.Repository, error)
	// Pulls lists the open pull requests of a repository.
	Pulls(ctx context.Context, r forge.Repository) ([]forge.Pull, error)
	Pull(ctx context.Context, r forge.Repository, number int64) (forge.Pull, error)
	// CanWrite asks whether a person may write to a repository now.
	CanWrite(ctx context.Context, r forge.Repository, u forge.User) (bool, error)
}

// An Inbox holds deliveries until they are worked off.
type Inbox interface {
	// Waiting lists keys, the oldest first.
	Waiting(ctx context.Context) ([]string, error)
	Read(ctx context.Context, key string) (hooks.Delivery, error)
	// Begin counts a try before it is made. Enough of them without an end, and the
	// delivery is put away: more is false.
	Begin(ctx context.Context, key string) (more bool, err error)
	// Done ends a delivery with what was done.
	Done(ctx context.Context, key string, a hooks.Action, note string) error
	// Failed puts away a delivery that can never be worked off.
	Failed(ctx context.Context, key, reason string) error
	// Postpone ends a try that shall be made again, and does not count.
	Postpone(ctx context.Context, key, reason string) error
}

// Projects are our records of repositories.
type Projects interface {
	Put(ctx context.Context, p project.Project) (changed bool, err error)
	Get(ctx context.Context, key string) (project.Project, error)
	List(ctx context.Context) ([]project.Project, error)
}

// A Liaison serves the forges that are added to it. Its fields are set before Run.
// Its methods are safe for concurrent use.
type Liaison struct {
	Houses   Houses
	Inbox    Inbox
	Projects Projects

	Wanted  func(r forge.Repository) bool          // whether a repository shall be built
	Trusted func(bot string) bool                  // bots that are trusted as people are
	Every   time.Duration                          // how often forges are compared with what was planned
	NewID   func(at time.Time, seed uint64) string // makes ids of triggers
	// Missed puts deliveries into the inbox that did not arrive; nil if no forge
	// tells of them.
	Missed func(ctx context.Context) error
	// Compared is called after everything was compared, as far as it could be, and
	// after repositories may have come or gone.
	Compared func(ctx context.Context)

	Log    *slog.Logger
	Now    func() time.Time
	Jitter func() float64 // from 0 up to 1, anew with each call

	decode func(hooks.Delivery) (hooks.Event, error)
	wake   chan struct{} // capacity 1
	again  chan struct{} // capacity 1: a comparison was asked for
	ahead  chan *foresight

	mu     sync.Mutex
	forges map[forge.Kind]Forge
	app    int64           // the number of our GitHub App; 0 for none
	whole  bool            // everything is to be compared, now
	hand   map[string]bool // keys of deliveries that are in some lane
	lanes  map[forge.Key][]job
	turns  map[forge.Key]chan struct{} // capacity 1: held by whoever deals with a repository
	doubts map[forge.Key]time.Time     // repositories to be compared, and when
	seen   map[spot]sight              // pull requests as they were dealt with last
	coming map[string]*foresight       // by keys of deliveries
}

// New is a liaison without fields. Deliveries may be announced to it from now on.
func New() *Liaison {
	return &Liaison{
		decode: hooks.Decode, wake: make(chan struct{}, 1), again: make(chan struct{}, 1), ahead: make(chan *foresight, abreast),
		forges: map[forge.Kind]Forge{}, hand: map[string]bool{}, lanes: map[forge.Key][]job{},
		turns: map[forge.Key]chan struct{}{}, doubts: map[forge.Key]time.Time{}, seen: map[spot]sight{}, coming: map[string]*foresight{},
	}
}

// Wake says that there may be something in the inbox.
func (l *Liaison) Wake() { poke(l.wake) }

// Add has a forge served from now on. app is the number of our App on it, which only
// GitHub has.
func (l *Liaison) Add(kind forge.Kind, f Forge, app int64) {
	l.mu.Lock()
	l.forges[kind] = f
	if kind == forge.GitHub {
		l.app = app
	}
	l.whole = true
	l.mu.Unlock()
	poke(l.again)
	poke(l.wake)
}

// forge is one that was added; nil if it was not.
func (l *Liaison) forge(kind forge.Kind) Forge {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.forges[kind]
}

// kinds lists the forges that were added.
func (l *Liaison) kinds() []forge.Kind {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.forges))
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it will look anyway
	}
}

// Run works until ctx ends. What is not worked off by then stays in the inbox. It is
// called once.
func (l *Liaison) Run(ctx context.Context) {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { l.work(ctx); return nil })
	group.Go(func() error { l.watch(ctx); return nil })
	group.Go(func() error { l.lookAhead(ctx); return nil })
	_ = group.Wait() // none has an error
}
