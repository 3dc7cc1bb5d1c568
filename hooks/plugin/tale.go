package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/velocity-ci/velocity/architect/build"
)

// ErrGone means that a build is not there any more.
var ErrGone = errors.New("the build is gone")

// A tale is a build of which plugins are still to be told. It is cold while what
// happened is only in the Memory.
type tale struct {
	id     build.ID
	order  int                      // in which the builds came
	wanted map[build.EventType]bool // by some plugin

	keeping sync.Mutex // serialises writes of progress

	// The Runner's lock guards these.
	jobs  map[string]*job
	cold  bool
	fresh []build.Move // that are durable, and not told yet
	left  bool         // nobody is to be told any more

	telling sync.Mutex // guards the rest; taken before the Runner's lock
	b       *build.Build
	events  []*Event // from the first; nil for those that no plugin wants
}

// at returns the first event from number i on that is among those wanted, with its
// number. It is nil if there is none yet; over says that there will be none.
func (r *Runner) at(ctx context.Context, t *tale, i int, wanted []build.EventType) (e *Event, n int, over bool, err error) {
	t.telling.Lock()
	defer t.telling.Unlock()
	if err := r.catchUp(ctx, t); err != nil {
		return nil, i, false, err
	}
	for n = i; n < len(t.events); n++ {
		if e := t.events[n]; e != nil && slices.Contains(wanted, e.Data.Event) {
			return e, n, false, nil
		}
	}
	return nil, max(i, len(t.events)), t.b.State().Final(), nil
}

// catchUp makes events of the moves that came since, or of all if the tale is cold.
func (r *Runner) catchUp(ctx context.Context, t *tale) error {
	r.mu.Lock()
	moves, cold := t.fresh, t.cold
	t.fresh, t.cold = nil, false // what comes from now on is not missed
	r.mu.Unlock()
	if cold {
		t.b, t.events = &build.Build{}, nil
		stored, err := r.Memory.Moves(ctx, t.id)
		if err != nil {
			r.forget(t)
			return fmt.Errorf("read the moves of %s: %w", t.id, err)
		}
		moves = append(stored, moves...)
	}
	for _, m := range moves {
		if err := r.tell(t, m); err != nil {
			r.forget(t)
			return err
		}
	}
	return nil
}

// tell adds the events of a move, unless they are there already.
func (r *Runner) tell(t *tale, m build.Move) error {
	if m.Seq <= t.b.Seq {
		return nil
	}
	events, err := t.b.Apply(m)
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	for _, e := range events {
		var told *Event
		if t.wanted[e.Type] {
			told = describe(t.b, e, m.At, r.Page)
		}
		t.events = append(t.events, told)
	}
	return nil
}

// chill forgets what can be read again. No more is in memory than of builds of which
// plugins are being told, however many others wait.
func (r *Runner) chill(t *tale) {
	t.telling.Lock()
	defer t.telling.Unlock()
	r.forget(t)
}

// forget is chill with the tale's lock held.
func (r *Runner) forget(t *tale) {
	t.b, t.events = nil, nil
	r.mu.Lock()
	defer r.mu.Unlock()
	t.cold, t.fresh = true, nil
}
