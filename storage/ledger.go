package storage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/git"
)

// A Ledger is a Store with the right to record. Its methods are safe for
// concurrent use. Release it.
type Ledger struct {
	*Store
	store  string // the store's id
	writer string // who records, for commits
	lock   *lock
	folded func(build.ID)

	damaged bool // something could not be read: nothing unreachable is dropped

	telling sync.Mutex
	found   []string     // what was out of order, for people
	tell    func(string) // of what is found next; may be nil

	queue queue
	ended chan struct{} // closed when the writer has ended

	// The writer's own, see run.
	builds  map[int64]*kept // live builds by number
	tips    map[string]plan.Commit
	desk    git.Hash
	noted   []noted       // lines written lately, oldest first
	notes   git.Hash      // the notes when they were last seen to have these
	broken  error         // what ended all writing
	failed  chan struct{} // closed when it did
	written int           // packs since they were last counted
	tidied  chan struct{} // closed unless packs are being merged
	gcMet   bool          // git's gc was at work when something was written, see watchGC
	watched chan struct{} // closed unless somebody waits for a gc

	reported int   // reports since a shelf of them was looked through
	shelf    uint8 // the one that is next

	numbers numbers
}

// errReleased answers changes that come after Release.
var errReleased = errors.New("the ledger was released")

// Acquire takes the repository's writer lock for who ("serve", "hook", …) and
// makes good what an earlier writer's death left undone. folded, unless nil, is
// called from the writer's goroutine when a finished build is in the archive and
// its note written; it must not wait for the ledger.
//
// Errors: *HeldError if another process has the lock, *VersionError if a newer
// program left an unfinished build.
func (s *Store) Acquire(ctx context.Context, who string, folded func(build.ID)) (*Ledger, error) {
	l, err := s.lockFor(who, folded)
	if err != nil {
		return nil, fmt.Errorf("acquire ledger: %w", err)
	}
	if _, err := l.begin(ctx, who, atStart); err != nil {
		return nil, errors.Join(fmt.Errorf("acquire ledger: %w", err), l.lock.abandon())
	}
	go l.run(context.WithoutCancel(ctx))
	return l, nil
}

// lockFor takes the lock. Nothing is recorded before begin.
func (s *Store) lockFor(who string, folded func(build.ID)) (*Ledger, error) {
	lock, err := s.acquire(who)
	if err != nil {
		return nil, err
	}
	l := &Ledger{Store: s, lock: lock, folded: folded, ended: make(chan struct{}), failed: make(chan struct{})}
	if l.folded == nil {
		l.folded = func(build.ID) {}
	}
	l.queue.wake = make(chan struct{}, 1)
	l.shelf = uint8(rand.N(256)) // or short lives would see the first ones only
	l.tidied, l.watched = make(chan struct{}), make(chan struct{})
	close(l.tidied)
	close(l.watched)
	return l, nil
}

// begin does what comes before the first change.
func (l *Ledger) begin(ctx context.Context, who string, how depth) (*examination, error) {
	store, adopted, err := l.ensureID()
	if err != nil {
		return nil, err
	}
	l.store = store
	if adopted {
		l.report("goes on with store " + store + ", which this repository came with")
	}
	epoch, err := l.nextEpoch()
	if err != nil {
		return nil, fmt.Errorf("count epoch: %w", err)
	}
	l.writer = fmt.Sprintf("%s epoch %d", who, epoch)
	x, err := l.recover(ctx, how)
	if err != nil {
		return nil, fmt.Errorf("recover: %w", err)
	}
	l.tips, l.desk, err = l.Store.tips(store)
	return x, err
}

// Wait returns nil once the ledger was released, or before that what ended all
// writing: a change that could not be recorded, or a fold, which has nobody else
// to tell.
func (l *Ledger) Wait() error {
	select {
	case <-l.failed:
	case <-l.ended:
	}
	return l.broken
}

// Release writes what was appended before it, folds what is final, and gives the
// lock back. Changes that come later fail. The error is also that of a write that
// failed before.
func (l *Ledger) Release(ctx context.Context) error {
	l.queue.close()
	<-l.ended
	if l.broken != nil {
		return errors.Join(l.broken, l.lock.abandon())
	}
	if err := l.numbers.giveBack(ctx, l); err != nil {
		return errors.Join(fmt.Errorf("release ledger: %w", err), l.lock.abandon())
	}
	return l.lock.release()
}

// Append records c and returns at once. done is called exactly once, from the
// writer's goroutine and in the order of the calls: with nil when c is durable,
// or with why it never will be. After an error the ledger takes nothing more:
// acquire it anew and read what is there.
func (l *Ledger) Append(c build.Change, done func(error)) {
	if !l.queue.put(entry{change: c, done: done}) {
		go done(errReleased)
	}
}

// A queue holds changes that wait for the writer.
type queue struct {
	wake chan struct{} // capacity 1

	mu      sync.Mutex
	entries []entry
	jobs    []func()
	closed  bool
}

type entry struct {
	change build.Change
	path   string // of the report on the desk
	report []byte // nil if there is none
	owed   owedEdit
	notice *lateNotice // nil if there is none
	done   func(error)
}

// put reports whether the queue still takes entries.
func (q *queue) put(e entry) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.entries = append(q.entries, e)
	q.rouse()
	return true
}

// putJob reports whether the queue still takes jobs.
func (q *queue) putJob(job func()) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.jobs = append(q.jobs, job)
	q.rouse()
	return true
}

// takeJob returns the next job, nil if there is none.
func (q *queue) takeJob() (job func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) > 0 {
		job, q.jobs = q.jobs[0], q.jobs[1:]
	}
	return job
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.rouse()
}

func (q *queue) rouse() {
	select {
	case q.wake <- struct{}{}:
	default: // the writer is about to look anyway
	}
}

// take returns everything that waits, and whether nothing will come any more.
func (q *queue) take() (entries []entry, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	entries, q.entries = q.entries, nil
	return entries, q.closed
}
