// Package memory is a ledger that keeps nothing: for builds that nobody wants
// recorded, and for tests of those who record. It behaves as storage.Ledger does
// while it lives; ledgertest holds both to that.
package memory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
)

// store is the store of all builds in memory.
const store = "memory"

// A Ledger is safe for concurrent use.
type Ledger struct {
	folded func(build.ID)
	wake   chan struct{} // capacity 1

	mu     sync.Mutex
	calls  []func() // what was promised to callers of Append, in order
	closed bool
	last   int64
	builds map[build.ID]*record
	inbox  map[string]plan.Trigger
	tips   map[string]plan.Commit // nil until the first one
	marks  []build.Mark
}

type record struct {
	build *build.Build
	plan  *plan.Plan
	moves []build.Move
}

// New is an empty ledger. folded, unless nil, is called when a build is final and
// recorded. Release it.
func New(folded func(build.ID)) *Ledger {
	l := &Ledger{
		folded: folded, wake: make(chan struct{}, 1),
		builds: map[build.ID]*record{}, inbox: map[string]plan.Trigger{},
	}
	go l.run()
	return l
}

// run makes the calls, which may use the ledger, until it is released.
func (l *Ledger) run() {
	for range l.wake {
		l.mu.Lock()
		calls, closed := l.calls, l.closed
		l.calls = nil
		l.mu.Unlock()
		for _, call := range calls {
			call()
		}
		if closed {
			return
		}
	}
}

// rouse makes run look. The lock is held.
func (l *Ledger) rouse() {
	select {
	case l.wake <- struct{}{}:
	default: // it is about to look anyway
	}
}

// Release ends the ledger. Nothing may be appended any more.
func (l *Ledger) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.rouse()
}

// Next reserves the identity of a build.
func (l *Ledger) Next(context.Context) (build.ID, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	return build.ID{Store: store, Number: l.last}, nil
}

// Append records c and then calls done, in the order of the calls.
func (l *Ledger) Append(c build.Change, done func(error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.add(c)
	l.calls = append(l.calls, func() {
		done(err)
		if err == nil && l.folded != nil && c.Build != nil && c.Build.State().Final() {
			l.folded(c.Build.ID)
		}
	})
	l.rouse()
}

func (l *Ledger) add(c build.Change) error {
	if c.Build != nil {
		if err := l.addBuild(c); err != nil {
			return err
		}
	}
	for _, id := range c.Settled {
		delete(l.inbox, id)
	}
	if c.Marks != nil {
		l.marks = c.Marks
	}
	if l.tips == nil && len(c.Tips) > 0 {
		l.tips = map[string]plan.Commit{}
	}
	maps.Copy(l.tips, c.Tips)
	maps.DeleteFunc(l.tips, func(_ string, c plan.Commit) bool { return c.Zero() })
	return nil
}

func (l *Ledger) addBuild(c build.Change) error {
	r := l.builds[c.Build.ID]
	if r == nil {
		r = &record{}
	}
	moves := append(r.moves, c.Moves...) // whoever reads has a slice of its own length
	if len(moves) != c.Build.Seq || len(c.Moves) > 0 && c.Moves[0].Seq != len(r.moves)+1 {
		return fmt.Errorf("build %s: its moves do not follow those before", c.Build.ID)
	}
	l.builds[c.Build.ID] = &record{build: c.Build, plan: cmp.Or(c.Plan, r.plan), moves: moves}
	return nil
}

// Accept takes triggers in.
func (l *Ledger) Accept(_ context.Context, triggers []plan.Trigger) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range triggers {
		if _, ok := l.inbox[t.ID]; !ok {
			l.inbox[t.ID] = t
		}
	}
	return nil
}

// Pending lists the triggers in the inbox in the order of their ids.
func (l *Ledger) Pending(context.Context) ([]plan.Trigger, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.SortedFunc(maps.Values(l.inbox), func(a, b plan.Trigger) int { return cmp.Compare(a.ID, b.ID) }), nil
}

// Live lists the builds that are not final, oldest first.
func (l *Ledger) Live(context.Context) ([]storage.Loaded, error) {
	var live []storage.Loaded
	for _, r := range l.sorted() {
		if !r.build.State().Final() {
			live = append(live, storage.Loaded{Build: r.build.Clone(), Plan: r.plan})
		}
	}
	return live, nil
}

// Tips are the refs with the commit last dealt with.
func (l *Ledger) Tips(context.Context) (tips map[string]plan.Commit, known bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.tips), l.tips != nil, nil
}

// Marks are the schedules with the time up to which each was dealt with.
func (l *Ledger) Marks(context.Context) ([]build.Mark, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.marks), nil
}

// OfCommit lists the builds of a commit, oldest first.
func (l *Ledger) OfCommit(_ context.Context, c plan.Commit) ([]storage.Known, error) {
	var known []storage.Known
	for _, r := range l.sorted() {
		if b := r.build; b.Trigger.Commit == c {
			known = append(known, storage.Known{ID: b.ID, Name: b.Name, Trigger: b.Trigger, Config: b.Config, Void: b.Void()})
		}
	}
	return known, nil
}

// Green is as in storage.Store.
func (l *Ledger) Green(_ context.Context, c plan.Commit, pipeline string) (bool, error) {
	return slices.ContainsFunc(l.sorted(), func(r *record) bool {
		b := r.build
		return b.Trigger.Commit == c && b.Name == pipeline && b.Trigger.Event != plan.EventLocal && b.Trigger.Trusted() && b.State() == build.Succeeded && b.Reason() != build.ReasonSkipped
	}), nil
}

// Reusable is as in storage.Store.
func (l *Ledger) Reusable(_ context.Context, keys []string) (map[string]build.Success, error) {
	found := map[string]build.Success{}
	for _, r := range l.sorted() {
		b := r.build
		for i := range b.Stages {
			for j := range b.Stages[i].Tasks {
				t := &b.Stages[i].Tasks[j]
				if s, ok := b.Success(t); ok && b.Reliable() && t.ReuseKey != "" && slices.Contains(keys, t.ReuseKey) {
					found[t.ReuseKey] = s
				}
			}
		}
	}
	return found, nil
}

// Plan is the plan of a build, nil if none could be drawn, or storage.ErrNoBuild.
func (l *Ledger) Plan(_ context.Context, id build.ID) (*plan.Plan, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.builds[id]
	if !ok {
		return nil, fmt.Errorf("%s: %w", id, storage.ErrNoBuild)
	}
	return r.plan, nil
}

// Build is a build and its moves, or storage.ErrNoBuild.
func (l *Ledger) Build(_ context.Context, id build.ID) (*build.Build, []build.Move, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.builds[id]
	if !ok {
		return nil, nil, fmt.Errorf("%s: %w", id, storage.ErrNoBuild)
	}
	return r.build.Clone(), slices.Clone(r.moves), nil
}

func (l *Ledger) sorted() []*record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.SortedFunc(maps.Values(l.builds), func(a, b *record) int {
		return cmp.Compare(a.build.ID.Number, b.build.ID.Number)
	})
}
