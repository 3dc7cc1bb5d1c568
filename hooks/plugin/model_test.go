package plugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// request is a build of stages with so many tasks.
func request(n int64, stages ...int) build.Request {
	req := build.Request{
		ID: build.ID{Store: "k3f9a2", Number: n}, Repository: "shop", Kind: plan.OfPipeline, Name: "default",
		Trigger: plan.Trigger{Event: plan.EventPush, Ref: "refs/heads/main", Commit: "1234567890123456789012345678901234567890"},
		Author:  "Ada <ada@example.com>", Subject: "Mend the till",
	}
	for i, n := range stages {
		s := build.StagePlan{Name: fmt.Sprint("stage ", i)}
		for j := range n {
			s.Tasks = append(s.Tasks, build.TaskPlan{Key: plan.Key(i, j), Name: "task " + plan.Key(i, j)})
		}
		req.Stages = append(req.Stages, s)
	}
	return req
}

// A shelf is a Memory, which breaks as it is told to.
type shelf struct {
	mu       sync.Mutex
	rand     *rand.Rand
	faults   float64
	moves    map[build.ID][]build.Move
	progress map[build.ID]map[string]Progress
	notices  map[build.ID][]string
}

func newShelf(seed uint64, faults float64) *shelf {
	return &shelf{
		rand: rand.New(rand.NewPCG(seed, 1)), faults: faults, moves: map[build.ID][]build.Move{},
		progress: map[build.ID]map[string]Progress{}, notices: map[build.ID][]string{},
	}
}

var errFault = errors.New("a fault")

func (s *shelf) broken() bool { return s.rand.Float64() < s.faults }

func (s *shelf) Moves(_ context.Context, id build.ID) ([]build.Move, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken() {
		return nil, errFault
	}
	moves, ok := s.moves[id]
	if !ok {
		return nil, fmt.Errorf("look: %w", ErrGone)
	}
	return slices.Clone(moves), nil
}

func (s *shelf) Keep(_ context.Context, id build.ID, progress map[string]Progress) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken() {
		return errFault
	}
	if s.progress[id] = maps.Clone(progress); len(progress) == 0 {
		delete(s.progress, id)
	}
	return nil
}

func (s *shelf) Notice(_ context.Context, id build.ID, text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken() {
		return errFault
	}
	if _, ok := s.moves[id]; !ok {
		return ErrGone
	}
	if !slices.Contains(s.notices[id], text) {
		s.notices[id] = append(s.notices[id], text)
	}
	return nil
}

// record makes moves durable.
func (s *shelf) record(id build.ID, moves []build.Move) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moves[id] = append(s.moves[id], moves...)
}

// An ear is where a plugin's events go. It fails, hangs and refuses as it is told.
type ear struct {
	mu     sync.Mutex
	rand   *rand.Rand
	faults float64
	death  func() // may be called when an event was heard
	heard  map[string][]string
}

func newEar(seed uint64, faults float64) *ear {
	return &ear{rand: rand.New(rand.NewPCG(seed, 2)), faults: faults, heard: map[string][]string{}}
}

func (e *ear) Send(ctx context.Context, ev *Event) error {
	e.mu.Lock()
	fate := e.rand.Float64() / max(e.faults, 1e-9)
	if fate < 0.2 || fate >= 0.8 {
		e.heard[ev.Data.Build.ID] = append(e.heard[ev.Data.Build.ID], ev.ID)
	}
	e.mu.Unlock()
	switch {
	case fate < 0.1:
		e.death()
		return nil
	case fate < 0.2:
		return errFault // it was heard, and nobody knows
	case fate < 0.7:
		return errFault
	case fate < 0.75:
		<-ctx.Done()
		return context.Cause(ctx)
	case fate < 0.8:
		return refuse("no")
	}
	return nil
}

// A rig is a Runner that dies and is started again, in a bubble.
type rig struct {
	shelf   *shelf
	ears    []*ear
	plugins []Plugin
	runner  *Runner
	stop    func()
	ctx     context.Context
	ended   chan struct{}
	deaths  int
}

func newRig(seed uint64, faults float64, wants ...[]build.EventType) *rig {
	g := &rig{shelf: newShelf(seed, faults/4)}
	for i, events := range wants {
		e := newEar(seed+uint64(i)<<32, faults)
		g.ears = append(g.ears, e)
		g.plugins = append(g.plugins, Plugin{
			ID: fmt.Sprint("site/", i), Lane: fmt.Sprint("lane ", i), Called: fmt.Sprint("p", i), Events: events,
			Open: func(context.Context) (Sender, []string, error) { return e, nil, nil },
		})
	}
	return g
}

// start begins a process, which goes on with what is on the shelf.
func (g *rig) start() {
	ctx, stop := context.WithCancel(context.Background())
	g.ctx, g.stop, g.ended = ctx, stop, make(chan struct{})
	r := &Runner{Memory: g.shelf, Logger: slog.New(slog.DiscardHandler), Now: time.Now, Jitter: rand.Float64}
	for _, e := range g.ears {
		e.death = stop
	}
	g.runner = r
	ids := slices.SortedFunc(maps.Keys(g.shelf.progress), func(a, b build.ID) int { return int(a.Number - b.Number) })
	for _, id := range ids {
		g.adopt(id)
	}
	go func(ended chan struct{}) {
		defer close(ended)
		r.Run(ctx)
	}(g.ended)
}

// adopt gives a build to the runner with the plugins that it is still owed to.
func (g *rig) adopt(id build.ID) {
	g.shelf.mu.Lock()
	progress := maps.Clone(g.shelf.progress[id])
	g.shelf.mu.Unlock()
	var owed []Plugin
	for _, p := range g.plugins {
		if _, ok := progress[p.ID]; ok {
			owed = append(owed, p)
		}
	}
	g.runner.Adopt(id, owed, progress)
}

// submit begins a build that all plugins are told of.
func (g *rig) submit(b *build.Build, moves []build.Move) {
	g.shelf.record(b.ID, moves)
	progress := map[string]Progress{}
	for _, p := range g.plugins {
		progress[p.ID] = Progress{}
	}
	g.shelf.mu.Lock()
	g.shelf.progress[b.ID] = progress
	g.shelf.mu.Unlock()
	g.adopt(b.ID)
	g.runner.Recorded(b.ID, moves)
}

func (g *rig) record(id build.ID, moves []build.Move) {
	g.shelf.record(id, moves)
	g.runner.Recorded(id, moves)
}

// revive starts the next process if one has died.
func (g *rig) revive() {
	synctest.Wait()
	if g.ctx.Err() != nil {
		<-g.ended
		g.deaths++
		g.start()
	}
}

// heal takes the faults away, and waits until all must be well: what could not be
// kept is found by the next process.
func (g *rig) heal() {
	g.shelf.mu.Lock()
	g.shelf.faults = 0
	g.shelf.mu.Unlock()
	for _, e := range g.ears {
		e.mu.Lock()
		e.faults = 0
		e.mu.Unlock()
	}
	g.revive()
	pass(3 * time.Hour)
	g.stop()
	g.revive()
	pass(3 * time.Hour)
}

func (g *rig) end() {
	g.stop()
	<-g.ended
}

// pass has the bubble's time go by.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
