package report

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
)

// A model is a forge as far as the Reporter is concerned, which fails as its seed
// says: before or after it does what it was asked for, and with limits of its own.
type model struct {
	mu     sync.Mutex
	rand   *rand.Rand
	faults float64 // part of the calls that fail
	death  func()  // ends the process that posts; nil if it cannot

	runs  map[Key][]*run // of each check, oldest first: the last one is shown
	calls []call
	until time.Time // limited
	heard bool      // by the process that lives: the next one has to ask
	gone  map[string]int
	wrong []string // what a Reporter must not do
}

// A run is one check run on the model.
type run struct {
	id       int64
	external string
	state    forge.State
	check    forge.Check
	finals   int // times that its outcome was written
}

type call struct {
	at    time.Time
	rank  rank
	state forge.State
	check forge.Check
}

var errBroken = errors.New("connection reset by peer")

func keyOf(c forge.Check) Key { return Key{c.Repository.Key, c.Commit, c.Name} }

// Post does what a good Poster does: it asks when it does not know.
func (m *model) Post(ctx context.Context, c forge.Check, told forge.Told) (forge.Told, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.call(c, told)
	if err := ctx.Err(); err != nil {
		return told, err
	}
	if now := time.Now(); now.Before(m.until) {
		if m.heard {
			m.wrong = append(m.wrong, fmt.Sprintf("a call %s before the limit ends", m.until.Sub(now)))
		}
		m.heard = true
		return told, &forge.LimitError{Until: m.until, Err: errBroken}
	}
	switch dice := m.rand.Float64() / m.faults; {
	case dice < 0.3:
		return told, errBroken // before anything
	case dice < 0.4:
		m.until, m.heard = time.Now().Add(time.Duration(1+m.rand.IntN(120))*time.Second), true
		return told, &forge.LimitError{Until: m.until, Err: errBroken}
	case dice < 0.5:
		return told, forge.ErrForbidden
	case dice < 0.6 && m.gone[c.External] < goneTries-1: // else it would be given up
		m.gone[c.External]++
		return told, forge.ErrGone
	case dice < 0.7 && m.death != nil:
		m.death() // before it arrives
		return told, context.Canceled
	case dice < 0.8 && m.death != nil:
		m.apply(c, told)
		m.death() // after it arrived
		return forge.Told{}, context.Canceled
	case dice < 1:
		m.apply(c, told)
		return told, errBroken // the answer is lost
	}
	return m.apply(c, told), nil
}

func (m *model) call(c forge.Check, told forge.Told) {
	r := progress
	switch {
	case c.State == forge.Final:
		r = finish
	case told.External != c.External, told.State < c.State, told.Digest == "":
		r = create
	}
	m.calls = append(m.calls, call{time.Now(), r, c.State, c})
}

// apply changes what is shown. A Poster that may have been heard looks first.
func (m *model) apply(c forge.Check, told forge.Told) forge.Told {
	k := keyOf(c)
	var now *run
	maybe := told.ID == 0 && (told.External == c.External || told.External == "")
	for _, r := range m.runs[k] {
		if r.external == c.External && (maybe || r.id == told.ID) {
			now = r
		}
	}
	if now == nil {
		for _, r := range m.runs[k] {
			if r.external == c.External {
				m.wrong = append(m.wrong, "a second run for "+c.External)
			}
		}
		now = &run{id: int64(len(m.runs[k]) + 1), external: c.External}
		m.runs[k] = append(m.runs[k], now)
	}
	doubt := maybe || told.External == c.External && told.State == forge.Final
	switch {
	case now.state == forge.Final && doubt: // it looked: there is nothing to do
	case now.state > c.State, now.state == forge.Final:
		m.wrong = append(m.wrong, fmt.Sprintf("%s from %d to %d", c.External, now.state, c.State))
	default:
		if now.state, now.check = c.State, c; c.State == forge.Final {
			now.finals++
		}
	}
	return forge.Told{External: c.External, ID: now.id, State: c.State, Done: c.State == forge.Final}
}

// A memory is one that outlives its processes, and fails as its seed says.
type memory struct {
	mu     sync.Mutex
	rand   *rand.Rand
	faults float64
	death  func()
	told   map[Key]forge.Told
}

func (m *memory) fails() error {
	switch dice := m.rand.Float64() / m.faults; {
	case dice < 0.5:
		return errors.New("no space left on device")
	case dice < 0.7 && m.death != nil:
		m.death()
		return context.Canceled
	}
	return nil
}

// A books is a memory of one process: a process that is dead changes nothing.
type books struct {
	*memory
	ctx context.Context
}

func (b books) Told(_ context.Context, k Key) (forge.Told, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.told[k], b.fails()
}

func (b books) Keep(_ context.Context, k Key, told forge.Told) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx.Err() != nil {
		return b.ctx.Err()
	}
	if err := b.fails(); err != nil {
		return err
	}
	b.told[k] = told
	if b.death != nil && b.rand.Float64() < b.faults/10 {
		b.death() // just after it was durable
	}
	return nil
}

// builds is a Source: the newest durable state of each.
type builds struct {
	mu  sync.Mutex
	all map[build.ID]Shown
}

func (b *builds) Builds(_ context.Context, since time.Time) iter.Seq2[Shown, error] {
	return func(yield func(Shown, error) bool) {
		b.mu.Lock()
		all := maps.Clone(b.all)
		b.mu.Unlock()
		for _, s := range all {
			if over := s.Build.Finished; (over.IsZero() || over.After(since)) && !yield(s, nil) {
				return
			}
		}
	}
}

// put makes a state of a build durable.
func (b *builds) put(s Shown) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all[s.Build.ID] = s
}

// mend ends all faults.
func (m *model) mend() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = 0
}

func (m *memory) mend() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = 0
}

// asked is what was called so far.
func (m *model) asked() []call {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.calls)
}

// of are copies of the runs of a check.
func (m *model) of(k Key) (all []run) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.runs[k] {
		all = append(all, *r)
	}
	return all
}

// limit has the forge take nothing for a time, and nobody know of it.
func (m *model) limit(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.until, m.heard = time.Now().Add(d), false
}
