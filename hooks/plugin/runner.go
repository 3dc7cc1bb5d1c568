package plugin

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
)

// A Runner tells plugins of builds. The fields are set before the first call and not
// changed after it. Its methods are safe for concurrent use.
type Runner struct {
	Memory Memory
	Page   func(id build.ID, task string) string // the address of a build or task; nil if there is none
	Logger *slog.Logger
	Now    func() time.Time
	Jitter func() float64 // from 0 up to 1, anew with each call

	mu    sync.Mutex
	tales map[build.ID]*tale
	lanes map[string]*lane
	start func(*lane) // begins a worker; nil unless Run does
	count int         // of tales so far
	stats Stats

	changed chan struct{} // closed when a job was served; nil unless somebody waits for it
}

// Adopt begins to tell plugins of a build, from where each is. It is called once for
// a build, before the first Recorded of it, and reads nothing: what has happened is
// in the Memory.
func (r *Runner) Adopt(id build.ID, plugins []Plugin, progress map[string]Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &tale{id: id, order: r.count, cold: true, jobs: map[string]*job{}, wanted: map[build.EventType]bool{}}
	r.count++
	if r.tales == nil {
		r.tales, r.lanes = map[build.ID]*tale{}, map[string]*lane{}
	}
	r.tales[id] = t
	for _, p := range plugins {
		for _, e := range p.Events {
			t.wanted[e] = true
		}
		l := r.lanes[p.Lane]
		if l == nil {
			l = &lane{jobs: map[*job]bool{}, wake: make(chan struct{}, 1)}
			r.lanes[p.Lane] = l
		}
		j := &job{plugin: p, tale: t, lane: l, progress: progress[p.ID], pending: true}
		t.jobs[p.ID], l.jobs[j] = j, true
		r.rouse(l)
	}
}

// Recorded says that moves of a build are durable, in their order. It waits for
// nothing. Builds that were not adopted do not matter.
func (r *Runner) Recorded(id build.ID, moves []build.Move) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tales[id]
	if t == nil {
		return
	}
	if !t.cold {
		t.fresh = append(t.fresh, moves...)
	}
	for _, j := range t.jobs {
		j.pending = true
		r.rouse(j.lane)
	}
}

// Leave stops telling of the builds of a store. What is owed stays so in the Memory.
func (r *Runner) Leave(store string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, t := range r.tales {
		if id.Store != store {
			continue
		}
		t.left = true
		delete(r.tales, id)
		for _, j := range t.jobs {
			r.unlist(j)
		}
	}
}

// unlist takes a job out of its lane, and a lane without jobs away. The lock is held.
func (r *Runner) unlist(j *job) {
	delete(j.lane.jobs, j)
	if len(j.lane.jobs) == 0 && r.lanes[j.plugin.Lane] == j.lane {
		delete(r.lanes, j.plugin.Lane)
	}
	j.lane.stir()
}

// rouse has somebody look at a lane. The lock is held.
func (r *Runner) rouse(l *lane) {
	if !l.running && r.start != nil {
		l.running = true
		r.start(l)
		return
	}
	l.stir()
}

// Run tells until ctx is done; what is not told then is the next process' to tell. It
// is called once.
func (r *Runner) Run(ctx context.Context) {
	var workers sync.WaitGroup
	r.mu.Lock()
	r.start = func(l *lane) { workers.Go(func() { r.work(ctx, l) }) }
	for l := range maps.Values(r.lanes) {
		r.rouse(l)
	}
	r.mu.Unlock()
	<-ctx.Done()
	r.mu.Lock()
	r.start = nil
	r.mu.Unlock()
	workers.Wait()
}

// Stats tells how it goes.
func (r *Runner) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, now := r.stats, r.Now()
	for _, l := range r.lanes {
		if l.until.After(now) {
			s.Broken++
		}
		for j := range l.jobs {
			if j.pending {
				s.Waiting++
			}
		}
	}
	return s
}
