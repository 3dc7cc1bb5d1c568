package report

import (
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"testing/synctest"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 6)) }

// A rig is a Reporter that dies and is started again, in a bubble.
type rig struct {
	forge   *model
	memory  *memory
	source  *builds
	perTask bool

	reporter *Reporter
	ctx      context.Context
	stop     func()
	ended    chan struct{}
	deaths   int
}

func newRig(seed uint64, faults float64) *rig {
	return &rig{
		forge:  &model{rand: seeded(seed), faults: faults, runs: map[Key][]*run{}, gone: map[string]int{}},
		memory: &memory{rand: seeded(seed + 1<<32), faults: faults, told: map[Key]forge.Told{}},
		source: &builds{all: map[build.ID]Shown{}},
	}
}

// start begins a process.
func (g *rig) start() {
	ctx, stop := context.WithCancel(context.Background())
	g.ctx, g.stop, g.ended = ctx, stop, make(chan struct{})
	g.forge.death, g.memory.death, g.forge.heard = stop, stop, false
	g.reporter = &Reporter{
		Compose: &Composer{Granularity: func(*plan.Plan) Granularity {
			if g.perTask {
				return OfTasks
			}
			return OfBuild
		}},
		Posters: map[forge.Kind]forge.Poster{forge.GitHub: g.forge}, Memory: books{g.memory, ctx}, Source: g.source,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now, Jitter: rand.Float64,
	}
	go func(r *Reporter, ended chan struct{}) {
		defer close(ended)
		r.Run(ctx)
	}(g.reporter, g.ended)
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

// end stops all and lets the bubble's goroutines end.
func (g *rig) end() {
	g.stop()
	<-g.ended
}

// heal takes the faults away and waits until all must be well.
func (g *rig) heal() {
	g.forge.mend()
	g.memory.mend()
	g.revive()
	pass(3 * time.Hour) // of the bubble's: a sweep, and the longest limit
}

// pass has the bubble's time go by.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
