package architect

import (
	"cmp"
	"context"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/architect/queue"
	"github.com/velocity-ci/velocity/blueprint"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A Ledger records one repository's builds. It has one writer.
type Ledger interface {
	// Next reserves the identity of a build. It is never given out again.
	Next(ctx context.Context) (build.ID, error)
	// Append returns at once. done is called exactly once, when the change is
	// durable or when it never will be, in the order of the calls. It must not be
	// called before Append returns.
	Append(c build.Change, done func(error))
}

// An Inbox holds the triggers that were accepted and not yet answered.
type Inbox interface {
	Pending(ctx context.Context) ([]plan.Trigger, error)
}

// A Loaded build is one that is not in the archive yet.
type Loaded struct {
	Build *build.Build
	Plan  *plan.Plan // nil if none could be drawn
}

// A Known build of a commit, for telling equal triggers apart from new ones.
type Known struct {
	ID      build.ID
	Name    string
	Trigger plan.Trigger
	Config  plan.Commit // where the configuration was read
	Void    bool        // as build.Build says
}

// A History is what was recorded before.
type History interface {
	Past
	// Live lists the builds that are not in the archive.
	Live(ctx context.Context) ([]Loaded, error)
	// Tips are the refs with the commit last dealt with. known is false on the
	// first scan of a repository.
	Tips(ctx context.Context) (tips map[string]plan.Commit, known bool, err error)
	// Marks are the schedules with the time up to which each was dealt with.
	Marks(ctx context.Context) ([]build.Mark, error)
	// OfCommit lists the finished builds of a commit.
	OfCommit(ctx context.Context, c plan.Commit) ([]Known, error)
	// Recorded reads a build and its plan, of whatever store. ok is false if it is
	// not here.
	Recorded(ctx context.Context, id build.ID) (l Loaded, ok bool, err error)
}

// A Repository is what plans are drawn from. It is read, never written.
type Repository interface {
	// Tips lists branches and tags with the commits they stand for now.
	Tips(ctx context.Context) (map[string]plan.Commit, error)
	// Head is the branch that is checked out or the default one; "" if there is none.
	Head(ctx context.Context) (string, error)
	// Tree opens the files of a commit, which may be named by a tag object. The
	// commit it resolved to comes with it. ErrGone if there is no such commit.
	Tree(ctx context.Context, c plan.Commit) (blueprint.Tree, plan.Commit, error)
	// Facts finds the values of git.* for a commit built for a ref.
	Facts(ctx context.Context, c plan.Commit, ref string) func(name string) (string, error)
	// MergeBase is the best common ancestor of two commits, "" if they have none.
	MergeBase(ctx context.Context, a, b plan.Commit) (plan.Commit, error)
	// Ancestors lists the commits that lead to c, the newest first, at most limit.
	Ancestors(ctx context.Context, c plan.Commit, limit int) ([]plan.Commit, error)
	// Differ reports whether one of these files is not the same in both commits; a
	// zero one has no files.
	Differ(ctx context.Context, from, to plan.Commit, files plan.Patterns) (bool, error)
	// Digest stands for the content of these files in a commit.
	Digest(ctx context.Context, c plan.Commit, files plan.Patterns) (string, error)
}

// Logs keeps running copies of the logs that builders send.
type Logs interface {
	// Write puts a chunk in its place and returns how many bytes of that file are
	// there from its start. A chunk beyond that is not taken.
	Write(c dispatch.Chunk) (int64, error)
	// Finish names the files of an attempt once they are as long and have the sum
	// that the result says; dispatch.ErrStale never comes from here.
	Finish(r dispatch.Result) (build.LogFile, error)
	// Read returns the text from offset on, as far as it is there, at most limit
	// bytes.
	Read(a dispatch.Attempt, offset, limit int64) ([]byte, error)
	// Drop forgets the logs of a build.
	Drop(id build.ID)
}

// A Site is one repository in the architect's care.
type Site struct {
	Name    string              // as people know it when the site is opened; see Called
	Key     string              // what it stays known by when it is renamed; "" is Name, see Identity
	Source  string              // where builders fetch from
	Modules dispatch.Submodules // from where submodules may come
	Ledger  Ledger
	Inbox   Inbox
	History History
	Repo    Repository
	Logs    Logs
	Share   queue.Share // of the builders, beside other sites

	Vault     Vault    // nil: there are no secrets but those that people give
	Protected []string // patterns of refs that not everybody who can push can move, beside the default branch

	// NoReuse has every task built, also those that an earlier success could stand
	// in for.
	NoReuse bool
	// Kept reports whether a task's artifacts are still there to be used: only then
	// can it be reused. Nil if they always are.
	Kept func(ctx context.Context, of build.Origin) bool

	// Told says that every push is told to the inbox: the first scan remembers all
	// tips and builds none.
	Told bool

	// Clock says that the schedules of the default branch start pipelines.
	Clock bool

	// Only the intake touches these after Open.
	tips  map[string]plan.Commit // as of the newest plan, durable or on its way
	trunk trunk                  // the default branch's configuration, as read last
	first bool                   // no tips were known: the first scan is to be made
	times timetable

	wake chan struct{} // capacity 1

	// The architect's lock holds these.
	stop   context.CancelFunc // ends the intake; nil before Run
	ended  chan struct{}      // closed when the intake has ended
	closed bool               // the architect has given the site back

	renamed atomic.Pointer[string] // the name since Rename; nil before

	mu      sync.Mutex
	left    bool            // nobody works off wake-ups any more
	look    bool            // the refs shall be compared with the tips
	pending int             // wake-ups not yet worked off
	taken   map[string]bool // triggers in hand, until what became of them is recorded
	offered []plan.Trigger  // by those who keep them, for the intake to take
	answers map[string]Answer
	order   []string // of answers, oldest first
}

// An Answer is what became of a trigger.
type Answer struct {
	Builds []build.ID
	Note   string // why there are none, for people
}

// keepAnswers bounds the memory of answers.
const keepAnswers = 4096

func (s *Site) prepare(tips map[string]plan.Commit, known bool, marks []build.Mark) {
	s.times = timetable{recorded: marks}
	s.wake = make(chan struct{}, 1)
	s.tips = maps.Clone(tips)
	if s.tips == nil {
		s.tips = map[string]plan.Commit{}
	}
	s.first = !known
	s.taken = map[string]bool{}
	s.answers = map[string]Answer{}
}

// Identity is the repository for ever, and what people call it is not: whatever is
// given to a repository is given to that. It is the same as long as the site is.
func (s *Site) Identity() string { return cmp.Or(s.Key, s.Name) }

// Called is how people know the site now.
func (s *Site) Called() string {
	if name := s.renamed.Load(); name != nil {
		return *name
	}
	return s.Name
}

// Rename makes the site known under another name. Builds that there are keep the
// one that they were made under.
func (s *Site) Rename(name string) { s.renamed.Store(&name) }

// Resupply says from where the submodules of a site may come from now on.
func (a *Architect) Resupply(s *Site, from dispatch.Submodules) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s.Modules = from
}

// Wake makes the site look into its inbox.
func (s *Site) Wake() { s.rouse(false) }

// Look makes the site look into its inbox and compare its refs with the tips.
func (s *Site) Look() { s.rouse(true) }

func (s *Site) rouse(look bool) {
	s.mu.Lock()
	if s.left {
		s.mu.Unlock()
		return
	}
	s.look = s.look || look
	s.pending++
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default: // it is about to look anyway
	}
}

// begin takes the wake-ups that there are; end gives them back as done.
func (s *Site) begin() (look bool, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	look, s.look = s.look, false
	return look, s.pending
}

func (s *Site) end(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending -= n
}

// quiet reports whether the site has worked off all wake-ups and triggers.
func (s *Site) quiet() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.still()
}

// still is quiet with the lock held.
func (s *Site) still() bool { return s.pending == 0 && len(s.taken) == 0 && len(s.offered) == 0 }

// leave forgets the wake-ups that nobody will work off.
func (s *Site) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left, s.pending, s.offered = true, 0, nil
}

// take claims a trigger; false if it is in hand already.
func (s *Site) take(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[id] {
		return false
	}
	s.taken[id] = true
	return true
}

func (s *Site) settled(ids []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.taken, id)
	}
}

func (s *Site) answer(id string, a Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.answers[id]; !ok {
		s.order = append(s.order, id)
	}
	s.answers[id] = a
	if len(s.order) > keepAnswers {
		delete(s.answers, s.order[0])
		s.order = s.order[1:]
	}
}

func (s *Site) answered(id string) (Answer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.answers[id]
	return a, ok
}
