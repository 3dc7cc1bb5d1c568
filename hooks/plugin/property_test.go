package plugin

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/builder/require"
)

var allEvents = []build.EventType{
	build.BuildStart, build.TaskStart, build.TaskComplete, build.TaskSuccess, build.TaskFail,
	build.BuildComplete, build.BuildSuccess, build.BuildFail,
}

// step makes some move of a build, or none.
func step(r *rand.Rand, b *build.Build, at time.Time) []build.Move {
	if b.Seq == 1 {
		return b.Open(at)
	}
	kinds := []build.Kind{build.Assign, build.Begin, build.Succeed, build.Succeed, build.Fail, build.Interrupt, build.Notice}
	s := b.Stages[r.IntN(len(b.Stages))]
	t := s.Tasks[r.IntN(len(s.Tasks))]
	moves, err := b.Do(build.Move{Kind: kinds[r.IntN(len(kinds))], Task: t.Key, Builder: "b", Reason: "exit 1", At: at})
	if err != nil {
		return nil // not possible now
	}
	return moves
}

// Under any faults, each plugin is told of all that it wants in the order of the
// build, or a notice says what it was not told of; and no build is waited for.
func TestOrderAtLeastOnce(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 10
	}
	deaths, lost := 0, 0
	for seed := range seeds {
		require.Bubble(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 3))
			g := newRig(seed, 0.6*r.Float64(), allEvents, []build.EventType{build.BuildFail, build.BuildSuccess}, []build.EventType{build.TaskStart, build.BuildComplete})
			g.start()
			defer g.end()
			var builds []*build.Build
			for n := range int64(3) {
				b, moves := build.New(request(n+1, 1+r.IntN(3), 1+r.IntN(2)), time.Now())
				builds = append(builds, b)
				g.submit(b, moves)
			}
			for slices.ContainsFunc(builds, func(b *build.Build) bool { return !b.State().Final() }) {
				b := builds[r.IntN(len(builds))]
				if moves := step(r, b, time.Now()); len(moves) > 0 {
					g.record(b.ID, moves)
				}
				if r.IntN(3) == 0 {
					pass(time.Duration(r.IntN(40)) * time.Second)
				}
				g.revive()
			}
			g.heal()
			for _, b := range builds {
				lost += g.check(t, seed, b.ID)
			}
			if len(g.shelf.progress) > 0 || len(g.runner.tales) > 0 || len(g.runner.lanes) > 0 {
				t.Errorf("seed %d: still owed %v, in memory %d builds and %d lanes", seed, g.shelf.progress, len(g.runner.tales), len(g.runner.lanes))
			}
			deaths += g.deaths
		})
	}
	if deaths == 0 || lost == 0 {
		t.Errorf("%d deaths, %d events lost: the faults were too few", deaths, lost)
	}
}

// check compares what the plugins heard of a build with what happened, and counts
// what they did not hear.
func (g *rig) check(t *testing.T, seed uint64, id build.ID) (lost int) {
	t.Helper()
	b := &build.Build{}
	var events []build.Event
	for _, m := range g.shelf.moves[id] {
		more, err := b.Apply(m)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, more...)
	}
	for i, p := range g.plugins {
		var wanted []string
		for _, e := range events {
			if slices.Contains(p.Events, e.Type) {
				wanted = append(wanted, fmt.Sprintf("%s/%d/%s", id, e.Seq, e.Type))
			}
		}
		notices := strings.Count(strings.Join(g.shelf.notices[id], "\n"), "plugin "+p.Called+" was not told of ")
		missing := g.ears[i].missing(t, fmt.Sprintf("seed %d, %s, build %s", seed, p.Called, id), wanted)
		if missing > 0 && notices == 0 || missing > 1 && notices < 2 {
			t.Errorf("seed %d: %s was not told of %d events of %s, and %q says so", seed, p.Called, missing, id, g.shelf.notices[id])
		}
		lost += missing
	}
	return lost
}

// missing counts the events that were never heard, and complains of those that were
// heard before earlier ones that were heard later for the first time.
func (e *ear) missing(t *testing.T, what string, wanted []string) int {
	t.Helper()
	id, _, _ := strings.Cut(strings.Join(wanted[:min(1, len(wanted))], ""), "/")
	seen, last := map[string]bool{}, -1
	for _, heard := range e.heard[id] {
		at := slices.Index(wanted, heard)
		if at < 0 {
			t.Errorf("%s: heard %s, which it does not want", what, heard)
		}
		if !seen[heard] && at < last {
			t.Errorf("%s: heard %s for the first time after later ones", what, heard)
		}
		seen[heard], last = true, max(last, at)
	}
	return len(wanted) - len(seen)
}
