package architect_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/queue"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/require"
	"github.com/velocity-ci/velocity/storage/memory"
	"github.com/velocity-ci/velocity/storage/running"
)

var (
	simDays  = flag.Float64("sim.days", 0.33, "virtual `days` that each simulation lasts")
	simSeeds = flag.Int("sim.seeds", 3, "how many simulations there are")
	simSeed  = flag.Uint64("sim.seed", 1, "seed of the first simulation")
)

// TestSimulation has the architect live through days of faults of everything
// around it, and a witness judge all it records. A seed is in the name of its
// run: -sim.seed 7 -sim.seeds 1 is that one again, -sim.days 30 makes it longer.
func TestSimulation(t *testing.T) {
	lasts := time.Duration(*simDays * 24 * float64(time.Hour))
	if testing.Short() {
		lasts /= 4
	}
	for seed := *simSeed; seed < *simSeed+uint64(*simSeeds); seed++ {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			require.Bubble(t, func(t *testing.T) { simulate(t, seed, lasts) })
			t.Logf("took %s", time.Since(began).Round(time.Millisecond))
		})
	}
}

// A world is an architect, its sites, and its builders on a network.
type world struct {
	*dice
	t        *testing.T
	over     context.Context
	net      *network
	witness  *witness
	builders []*simBuilder
	sites    []*simSite
	commits  atomic.Int64

	mu       sync.Mutex
	p        *process // nil while the architect is down
	accepted map[string]plan.Trigger
	closed   map[build.ID]int
	canceled map[build.ID]bool
}

type simSite struct {
	name   string
	ledger *memory.Ledger
	repo   *repository
	logs   *running.Logs
}

// A process is one life of the architect.
type process struct {
	w     *world
	a     *architect.Architect
	sites map[string]*architect.Site
	alive atomic.Bool
	stop  context.CancelFunc
	ended chan error
}

func simulate(t *testing.T, seed uint64, lasts time.Duration) {
	began := time.Now()
	over, end := context.WithCancel(t.Context())
	w := newWorld(t, over, seed)
	w.start()
	for _, b := range w.builders {
		b.start()
	}
	w.live(lasts)
	w.heal()
	idle, cancel := context.WithTimeout(over, 12*time.Hour)
	defer cancel()
	if err := w.process().a.WaitIdle(idle); err != nil {
		t.Errorf("not idle half a day after the last fault: %v", err)
	}
	summary := w.witness.end()
	w.account()
	t.Logf("%s of virtual time: %s", time.Since(began).Round(time.Minute), summary)
	w.stop()
	end()
	for _, s := range w.sites {
		s.ledger.Release()
	}
}

func newWorld(t *testing.T, over context.Context, seed uint64) *world {
	w := &world{
		dice: newDice(seed), t: t, over: over,
		accepted: map[string]plan.Trigger{}, closed: map[build.ID]int{}, canceled: map[build.ID]bool{},
	}
	w.net = &network{dice: w.dice, over: over, cut: map[string]bool{}}
	w.witness = newWitness(func(format string, args ...any) {
		t.Errorf("%s: "+format, append([]any{time.Now().Format(time.DateTime)}, args...)...)
	})
	linux, gpu := map[string]string{"os": "linux"}, map[string]string{"os": "linux", "gpu": "true"}
	for i, labels := range []map[string]string{linux, linux, gpu, gpu, nil, linux} {
		b := newSimBuilder(w, fmt.Sprint("b", i), 1+i%3, labels)
		w.builders = append(w.builders, b)
		w.witness.builders[b.name] = b
	}
	for i, share := range []queue.Share{{Weight: 1}, {Weight: 2}, {Weight: 3, Limit: 6}} {
		s := &simSite{name: fmt.Sprint("site0", i), repo: &repository{head: "refs/heads/main", commits: map[plan.Commit]files{}}}
		s.ledger = memory.New(func(id build.ID) {
			if p := w.process(); p != nil {
				p.a.Folded(id)
			}
		})
		logs, err := running.New(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		s.logs = logs
		w.sites = append(w.sites, s)
		w.witness.shares[s.name] = share
	}
	return w
}

func (w *world) process() *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.p
}

func (w *world) builder(name string) *simBuilder { return w.witness.builders[name] }

// start begins a process of the architect, which goes on with what the ledgers
// have.
func (w *world) start() {
	ctx, stop := context.WithCancel(w.over)
	p := &process{w: w, sites: map[string]*architect.Site{}, stop: stop, ended: make(chan error, 1)}
	p.alive.Store(true)
	p.a = architect.New(downstream{w, p}, slog.New(slog.DiscardHandler), time.Now)
	p.a.Fit = true
	p.a.Closed = func(b *build.Build) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.closed[b.ID]++; w.closed[b.ID] > 1 {
			w.t.Errorf("%s was closed twice", b.ID)
		}
	}
	for _, b := range w.builders {
		p.a.Place(b.name, architect.Standing{Drained: w.isDrained(b.name)})
	}
	for _, s := range w.sites {
		site := &architect.Site{
			Name: s.name, Ledger: pen{s.ledger, p, s.name}, Inbox: s.ledger, History: history{s.ledger},
			Repo: s.repo, Logs: s.logs, Share: w.witness.shares[s.name], Told: true,
		}
		if err := p.a.Open(ctx, site); err != nil {
			w.t.Error(err)
		}
		p.sites[s.name] = site
		site.Wake()
	}
	w.witness.works() // it listens since the last Open, and is heard of only from here on
	go func() { p.ended <- p.a.Run(ctx) }()
	w.mu.Lock()
	w.p = p
	w.mu.Unlock()
}

// stop kills the architect's process, if there is one: what it had not recorded
// never was.
func (w *world) stop() bool {
	w.mu.Lock()
	p := w.p
	w.p = nil
	w.mu.Unlock()
	if p == nil {
		return false
	}
	w.witness.kill(p)
	p.stop()
	if err := <-p.ended; err != nil {
		w.t.Errorf("Run = %v", err)
	}
	return true
}

func (w *world) isDrained(builder string) bool {
	w.witness.mu.Lock()
	defer w.witness.mu.Unlock()
	return w.witness.drained[builder]
}

// account compares what was accepted with what became of it.
func (w *world) account() {
	made := map[string]int{} // builds, by what they were asked for
	for _, s := range w.sites {
		pending, err := s.ledger.Pending(w.over)
		if err != nil || len(pending) > 0 {
			w.t.Errorf("the inbox of %s still has %v, %v", s.name, pending, err)
		}
		for id := range w.witness.builds {
			if w.witness.builds[id].site != s.name {
				continue
			}
			b, moves, err := s.ledger.Build(w.over, id)
			if err != nil {
				w.t.Errorf("%s: %v", id, err)
				continue
			}
			again, err := build.Replay(moves)
			if diff := gocmp.Diff(b, again); err != nil || diff != "" {
				w.t.Errorf("%s is not what its moves say: %v\n%s", id, err, diff)
			}
			made[s.name+identity(b.Trigger)]++
		}
	}
	wanted := map[string]bool{}
	for _, t := range w.accepted {
		wanted[t.Actor+identity(t)] = true
	}
	for what := range wanted {
		if made[what] != 1 {
			w.t.Errorf("%s made %d builds; want 1", what, made[what])
		}
	}
	if len(made) != len(wanted) {
		w.t.Errorf("%d things were built of %d that were asked for", len(made), len(wanted))
	}
}

// identity is what equal triggers have in common.
func identity(t plan.Trigger) string {
	return fmt.Sprint(" ", t.Event, " ", t.Ref, " ", t.Commit, " ", t.Request)
}
