package architect_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// simConfig is what every simulated commit has.
func simConfig() files {
	task := "timeout: 30m\nsteps: [{type: run, command: x}]\n"
	return files{
		".velocityci/blueprints/a.yml":   task,
		".velocityci/blueprints/b.yml":   "labels: {os: linux}\n" + task,
		".velocityci/blueprints/gpu.yml": "labels: {gpu: \"true\"}\n" + task,
		".velocityci/pipelines/default.yml": "on: {push: {branches: [main]}}\n" +
			"stages: [{name: one, blueprints: [a, {name: b, ignoreErrors: true}]}, {name: two, blueprints: [b, gpu]}]\n",
		".velocityci/pipelines/deploy.yml": "on: {push: {branches: [release]}}\nconcurrency: {group: production}\n" +
			"stages: [{name: one, blueprints: [a, b]}]\n",
		".velocityci/pipelines/preview.yml": "on: {push: {branches: [\"try/**\"]}}\n" +
			"concurrency: {group: \"preview ${git.branch}\", cancelInProgress: true}\nstages: [{name: one, blueprints: [a, gpu]}]\n",
	}
}

// live lets users and faults at the world for a while.
func (w *world) live(lasts time.Duration) {
	ctx, cancel := context.WithTimeout(w.over, lasts)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { w.often(ctx, time.Second, 4*time.Minute, w.use) })
	all.Go(func() { w.often(ctx, time.Hour, 4*time.Hour, w.rush) })
	all.Go(func() { w.often(ctx, 30*time.Second, 8*time.Minute, func() { w.harm(ctx) }) })
	all.Go(func() { w.often(ctx, time.Second/2, time.Second, w.witness.overdue) })
	all.Wait()
}

// often calls do at random times until ctx ends.
func (w *world) often(ctx context.Context, low, high time.Duration, do func()) {
	for pause(ctx, w.between(low, high)) {
		do()
	}
}

// use is what people do: push, and what they do about builds that are there.
func (w *world) use() {
	s := w.sites[w.upTo(len(w.sites))]
	switch w.upTo(10) {
	case 0:
		w.cancel()
	case 1:
		w.again(s)
	default:
		w.push(s)
	}
}

// rush is a monorepo's morning: many pushes at once, more than there are slots.
func (w *world) rush() {
	for range 10 {
		for _, s := range w.sites {
			w.push(s)
		}
	}
}

func (w *world) push(s *simSite) {
	branch := []string{"main", "main", "main", "release", "try/a", "try/b"}[w.upTo(6)]
	commit := plan.Commit(fmt.Sprintf("%040x", w.commits.Add(1)))
	s.repo.mu.Lock()
	s.repo.commits[commit] = simConfig()
	s.repo.mu.Unlock()
	t := plan.Trigger{Event: plan.EventPush, Ref: plan.BranchPrefix + branch, Commit: commit}
	w.accept(s, t)
	if w.chance(0.1) {
		w.accept(s, t) // a delivery that came twice
	}
}

// again asks for the same commit once more, as a build of its own.
func (w *world) again(s *simSite) {
	n := w.upTo(int(w.commits.Load()) + 1)
	commit := plan.Commit(fmt.Sprintf("%040x", n))
	s.repo.mu.Lock()
	_, has := s.repo.commits[commit]
	s.repo.mu.Unlock()
	if has {
		w.accept(s, plan.Trigger{
			Event: plan.EventManual, Ref: plan.BranchPrefix + "main", Commit: commit, Name: "default",
			Request: fmt.Sprint("again ", w.commits.Add(1)),
		})
	}
}

// accept puts a trigger into the inbox, whether there is an architect or not.
func (w *world) accept(s *simSite, t plan.Trigger) {
	t.ID, t.Received, t.Actor = fmt.Sprintf("t%010d", w.commits.Add(1)), time.Now(), s.name
	if err := s.ledger.Accept(w.over, []plan.Trigger{t}); err != nil {
		w.t.Error(err)
	}
	w.mu.Lock()
	w.accepted[t.ID] = t
	p := w.p
	w.mu.Unlock()
	if p != nil {
		p.sites[s.name].Wake()
	}
}

// cancel ends some build. It may end by itself meanwhile, and the architect may
// die over it.
func (w *world) cancel() {
	p := w.process()
	if p == nil {
		return
	}
	if all := p.a.Unfinished(); len(all) > 0 {
		ctx, cancel := context.WithTimeout(w.over, 10*time.Second)
		defer cancel()
		_ = p.a.Cancel(ctx, all[w.upTo(len(all))].ID, "canceled")
	}
	if w.chance(0.3) { // before it has told a builder, perhaps
		w.restart()
	}
}

// harm does something bad, and takes it back after a while.
func (w *world) harm(ctx context.Context) {
	b := w.builders[w.upTo(len(w.builders))]
	lasts := w.between(time.Second, 5*time.Minute)
	during := func(begin, end func()) {
		begin()
		pause(ctx, lasts)
		end()
	}
	switch w.upTo(8) {
	case 0:
		during(b.crash, b.start)
	case 1:
		during(b.freeze, b.thaw)
	case 2:
		during(func() { w.net.partition(b.name, true) }, func() { w.net.partition(b.name, false) })
	case 3:
		during(func() { b.drain(true) }, func() { b.drain(false) })
	case 4:
		during(func() { w.place(b.name, true) }, func() { w.place(b.name, false) })
	case 5:
		during(func() { w.net.weather(true) }, func() { w.net.weather(false) })
	case 6:
		w.restart()
		if pause(ctx, w.between(time.Millisecond, 5*time.Second)) { // heard once or twice, and then no more
			during(b.freeze, b.thaw)
		}
	case 7:
		during(func() { b.freeze(); w.restart() }, b.thaw)
	}
}

// restart kills the architect, and has another take over after a while.
func (w *world) restart() {
	if w.stop() {
		pause(w.over, w.between(time.Millisecond, time.Minute))
		w.start()
	}
}

// place says what an administrator decided about a builder.
func (w *world) place(builder string, drained bool) {
	if !drained {
		w.witness.drain(builder, false)
	}
	if p := w.process(); p != nil {
		p.a.Place(builder, architect.Standing{Drained: drained})
	}
	if drained {
		w.witness.drain(builder, true)
	}
}

// heal ends the faults, but for one builder that is gone for good.
func (w *world) heal() {
	w.net.weather(false)
	for i, b := range w.builders {
		w.net.partition(b.name, false)
		w.place(b.name, false)
		b.drain(false)
		b.thaw()
		if i == 0 {
			b.crash()
		} else {
			b.start()
		}
	}
}
