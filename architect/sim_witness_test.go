package architect_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/architect/queue"
	"github.com/velocity-ci/velocity/storage/memory"
)

// A witness reads every change on its way into the ledgers, and judges it by
// rules of its own: it shares no code with the architect, the queue or the rules
// of motion. What holds only at the end of one turn of the architect is judged
// when the next instant begins.
type witness struct {
	shares   map[string]queue.Share
	builders map[string]*simBuilder
	accuse   func(format string, args ...any)

	mu       sync.Mutex
	instant  time.Time
	assigned []*watched // in this instant
	builds   map[build.ID]*watchedBuild
	open     map[build.ID]*watchedBuild // those of builds that are not final
	silence  map[string]time.Time       // builders, with when they were heard last
	drained  map[string]bool
	since    time.Time // the architect's process works since then; zero while there is none

	attempts, lost int
	longest        time.Duration // that a task was ready before it was given away
}

type watchedBuild struct {
	id       build.ID
	site     string
	group    string
	trigger  string
	opened   bool
	canceled time.Time
	final    bool
	tasks    map[string]*watched
}

type watched struct {
	of      *watchedBuild
	key     string
	labels  map[string]string
	limit   time.Duration
	state   build.State
	attempt int
	builder string
	ready   time.Time
	sent    time.Time
}

func newWitness(accuse func(string, ...any)) *witness {
	return &witness{
		shares: map[string]queue.Share{}, builders: map[string]*simBuilder{}, accuse: accuse,
		builds: map[build.ID]*watchedBuild{}, open: map[build.ID]*watchedBuild{},
		silence: map[string]time.Time{}, drained: map[string]bool{},
	}
}

// A pen is the ledger of a site in the hand of one process of the architect.
// After that was killed it writes nothing.
type pen struct {
	*memory.Ledger
	p    *process
	site string
}

// Next tells the stores apart, as those in repositories are.
func (p pen) Next(ctx context.Context) (build.ID, error) {
	id, err := p.Ledger.Next(ctx)
	id.Store = p.site
	return id, err
}

func (p pen) Append(c build.Change, done func(error)) {
	v := p.p.w.witness
	v.mu.Lock()
	defer v.mu.Unlock()
	if !p.p.alive.Load() {
		return
	}
	v.see(p.site, c)
	p.Ledger.Append(c, done)
}

var _ architect.Ledger = pen{}

// kill ends a process between two changes.
func (v *witness) kill(p *process) {
	v.mu.Lock()
	defer v.mu.Unlock()
	p.alive.Store(false)
	v.since = time.Time{}
}

func (v *witness) works() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.since = time.Now()
}

func (v *witness) heard(builder string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.silence[builder] = time.Now()
}

func (v *witness) drain(builder string, on bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.drained[builder] = on
}

// see takes a change in. The lock is held.
func (v *witness) see(site string, c build.Change) {
	if now := time.Now(); now != v.instant {
		v.settle()
		v.instant, v.assigned = now, nil
	}
	if c.Build == nil {
		return
	}
	for _, m := range c.Moves {
		v.move(site, c, m)
	}
	b := v.builds[c.Build.ID]
	if b != nil && c.Build.State().Final() {
		b.final = true
		delete(v.open, b.id)
		for _, s := range c.Build.Stages {
			for _, t := range s.Tasks {
				if over := t.Attempt - len(t.Lost); over != 0 && over != 1 {
					v.accuse("%s/%s is at attempt %d after %d that were lost", b.id, t.Key, t.Attempt, len(t.Lost))
				}
			}
		}
	}
}

func (v *witness) move(site string, c build.Change, m build.Move) {
	b := v.builds[c.Build.ID]
	if b == nil {
		b = newWatchedBuild(site, c)
		v.builds[b.id], v.open[b.id] = b, b
	}
	if b.final {
		v.accuse("%s moved after it was final: %s", b.id, m.Kind)
	}
	if m.Kind == build.Canceling {
		b.canceled = m.At
	}
	if t := b.tasks[m.Task]; t != nil {
		v.task(t, m)
	}
}

func newWatchedBuild(site string, c build.Change) *watchedBuild {
	b := &watchedBuild{id: c.Build.ID, site: site, group: c.Build.Group, trigger: c.Build.Trigger.ID, tasks: map[string]*watched{}}
	if c.Plan == nil {
		return b
	}
	for _, s := range c.Plan.Stages {
		for _, t := range s.Tasks {
			b.tasks[t.Key] = &watched{of: b, key: t.Key, labels: t.Labels, limit: time.Duration(t.Timeout), state: build.Waiting}
		}
	}
	return b
}

// task judges one move of a task.
func (v *witness) task(t *watched, m build.Move) {
	if t.state.Final() {
		v.accuse("%s/%s was %s, and then: %s", t.of.id, t.key, t.state, m.Kind)
	}
	switch m.Kind {
	case build.Start:
		t.ready, t.of.opened = m.At, true
	case build.Assign:
		v.assign(t, m)
	case build.Begin, build.StepMoved:
		if !t.flying() || m.Attempt != t.attempt {
			v.accuse("%s/%s: %s by attempt %d, while it is %s at %d", t.of.id, t.key, m.Kind, m.Attempt, t.state, t.attempt)
		}
	case build.Interrupt:
		v.lost++
		t.ready = m.At
	case build.Succeed, build.Fail:
		at := dispatch.Attempt{Build: t.of.id, Task: t.key, Number: t.attempt}
		if m.Log != nil && (m.Reason != token(t.builder, at) || *m.Log != logOf(m.Reason)) {
			v.accuse("%s on %s was ended by %q", at, t.builder, m.Reason)
		}
		if m.Kind == build.Succeed && m.Log == nil {
			v.accuse("%s succeeded without a builder's word", at)
		}
	}
	if m.To != "" {
		t.state = m.To
	}
}

func (v *witness) assign(t *watched, m build.Move) {
	if t.state != build.Ready || m.Attempt != t.attempt+1 || m.Attempt > architect.DefaultAttempts {
		v.accuse("%s/%s, %s after attempt %d, is given away as attempt %d", t.of.id, t.key, t.state, t.attempt, m.Attempt)
	}
	t.attempt, t.builder, t.sent = m.Attempt, m.Builder, m.At
	if !t.fits(v.builders[m.Builder]) || v.drained[m.Builder] {
		v.accuse("%s/%s, which wants %v, is given to %s (drained: %v)", t.of.id, t.key, t.labels, m.Builder, v.drained[m.Builder])
	}
	v.longest = max(v.longest, m.At.Sub(t.ready))
	v.attempts++
	v.assigned = append(v.assigned, t)
}

func (t *watched) flying() bool { return t.state == build.Scheduled || t.state == build.Building }

func (t *watched) fits(b *simBuilder) bool {
	for name, value := range t.labels {
		if b.labels[name] != value {
			return false
		}
	}
	return true
}

// settle judges the end of an instant.
func (v *witness) settle() {
	busy, running := map[string]int{}, map[string]int{}
	groups := map[string][]*watchedBuild{}
	for _, b := range v.open {
		if b.group != "" {
			groups[b.site+" "+b.group] = append(groups[b.site+" "+b.group], b)
		}
		for _, t := range b.tasks {
			if t.flying() {
				busy[t.builder]++
				running[b.site]++
			}
		}
	}
	for name, n := range busy {
		if n > v.builders[name].capacity {
			v.accuse("%s has %d tasks; it takes %d", name, n, v.builders[name].capacity)
		}
	}
	for site, n := range running {
		if limit := v.shares[site].Limit; limit > 0 && n > limit {
			v.accuse("%s has %d tasks under way; it may have %d", site, n, limit)
		}
	}
	for _, group := range groups {
		v.inTurn(group)
	}
	if len(v.assigned) == 1 { // of more, the order is not known
		v.fair(v.assigned[0], running)
	}
}

// inTurn: of a group only the oldest unfinished build may have been opened.
func (v *witness) inTurn(group []*watchedBuild) {
	slices.SortFunc(group, func(a, b *watchedBuild) int { return cmp.Compare(a.id.Number, b.id.Number) })
	for _, b := range group[1:] {
		if b.opened {
			v.accuse("%s of group %s was opened before %s ended", b.id, b.group, group[0].id)
		}
	}
}

// fair: who got a builder had less for its weight than each who also wanted it.
func (v *witness) fair(got *watched, running map[string]int) {
	mine := got.of.site
	for _, b := range v.open {
		other := b.site
		if other == mine || v.shares[other].Limit > 0 && running[other] >= v.shares[other].Limit {
			continue
		}
		for _, t := range b.tasks {
			waits := t.state == build.Ready && t.ready.Before(v.instant) && t.fits(v.builders[got.builder])
			if waits && running[mine]*v.shares[other].Weight > (running[other]+1)*v.shares[mine].Weight {
				v.accuse("%s got %s as task %d under way of %s, while %s waits with %d", got.key, got.builder, running[mine], mine, other, running[other])
			}
		}
	}
}

// What the architect promises, in its own constants' words.
const (
	looksEvery = time.Second      // so long an overdue thing may go unnoticed
	stopWithin = 15 * time.Second // for a canceled attempt to end
	overtime   = time.Minute      // on top of a task's own timeout
)

// overdue judges what must have ended by now. No tolerance is in it. The architect
// looks once in looksEvery, a message is heard, a decision made and a change seen
// here within one instant of virtual time, and so nothing outlives its limit by
// more than looksEvery:
//
//   - An attempt ends with its builder's silence: LostAfter after the builder was
//     heard last, or was sent the attempt if that was later.
//   - If a new process of the architect has neither heard the builder nor sent the
//     attempt, the builder has BackWithin from when that process began to listen.
//     In the very instant of that it may count as heard before.
//   - A canceled attempt ends stopWithin after it was canceled, and no other limit
//     is sooner: its timeout counts no more. Any other ends overtime after its
//     timeout.
//   - For cancels and timeouts a new process counts from its own beginning.
func (v *witness) overdue() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.since.IsZero() {
		return // nobody is there to end it
	}
	now := time.Now()
	late := func(limit time.Duration, since ...time.Time) bool {
		return now.Sub(slices.MaxFunc(append(since, v.since), time.Time.Compare)) > limit+looksEvery
	}
	for _, b := range v.open {
		if !b.canceled.IsZero() && late(stopWithin, b.canceled) {
			v.accuse("%s was canceled at %s and is not final", b.id, b.canceled)
		}
		for _, t := range b.tasks {
			if !t.flying() {
				continue
			}
			allowed := dispatch.LostAfter
			if !t.sent.After(v.since) && !v.silence[t.builder].After(v.since) {
				allowed = dispatch.BackWithin
			}
			if late(allowed, t.sent, v.silence[t.builder]) {
				v.accuse("%s/%s is still %s on %s, which was heard last at %s by an architect of %s", b.id, t.key, t.state, t.builder, v.silence[t.builder], v.since)
			}
			if b.canceled.IsZero() && late(t.limit+overtime, t.sent) {
				v.accuse("%s/%s runs since %s; it may for %s", b.id, t.key, t.sent, t.limit)
			}
		}
	}
}

// starved is how long no task waits at the load that there is: several times what
// was ever seen.
const starved = 6 * time.Hour

// end judges what is left when all is healed and idle.
func (v *witness) end() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.settle()
	for id := range maps.Keys(v.open) {
		v.accuse("%s never became final", id)
	}
	if v.longest > starved {
		v.accuse("a task waited %s for a builder", v.longest)
	}
	return fmt.Sprintf("%d builds, %d attempts of which %d were lost, longest wait %s", len(v.builds), v.attempts, v.lost, v.longest.Round(time.Second))
}
