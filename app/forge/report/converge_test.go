package report

import (
	"fmt"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/require"
)

// seeds is how many lives of a Reporter the property is tried with.
const seeds = 200

// Whatever fails, and whenever the process dies: every check gets to the newest
// build's outcome, none ever goes back, none is made twice, and the forge is asked
// no more often than it allows.
func TestConverges(t *testing.T) {
	deaths, posts := 0, 0
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			require.Bubble(t, func(t *testing.T) {
				g := newRig(seed, float64(seed%4)*0.15)
				g.perTask = seed%3 == 0
				defer func() { g.end() }()
				g.live(t, seed)
				g.heal()
				g.check(t)
				deaths, posts = deaths+g.deaths, posts+len(g.forge.calls)
			})
		})
	}
	if deaths < seeds/10 || posts < seeds*5 {
		t.Errorf("%d deaths and %d posts in %d lives: too few to show anything", deaths, posts, seeds)
	}
}

// live has builds of a few commits happen, and tells of them late, twice and out of
// order. A state is durable before it is told.
func (g *rig) live(t *testing.T, seed uint64) {
	r := seeded(^seed)
	g.start()
	var sites []*site
	for n := range 3 + r.IntN(4) {
		req := request(int64(n+1), []string{"unit", "lint"}, []string{"image"})
		req.Trigger.Commit = commit[:39] + []plan.Commit{"a", "b"}[r.IntN(2)]
		sites = append(sites, newSite(t, req).open())
	}
	var late []Shown
	for range 60 {
		s := sites[r.IntN(len(sites))]
		if r.IntN(3) == 0 && !s.b.State().Final() {
			s.advance(r.IntN(12))
		}
		now := s.shown()
		g.source.put(now)
		late = append(late, now)
		for range r.IntN(3) {
			g.reporter.Changed(late[r.IntN(len(late))])
		}
		if r.IntN(3) > 0 {
			g.reporter.Changed(now)
		}
		pass(time.Duration(r.Int64N(int64(20 * time.Second))))
		g.revive()
	}
	for _, s := range sites {
		for !s.b.State().Final() {
			s.advance(r.IntN(12))
		}
		g.source.put(s.shown())
		if r.IntN(2) == 0 {
			g.reporter.Changed(s.shown()) // else only a sweep finds it
		}
	}
	pass(time.Duration(r.Int64N(int64(10 * time.Minute))))
}

// advance moves the first task that is not over.
func (s *site) advance(dice int) {
	s.at = time.Now()
	if dice == 0 {
		s.do(build.Canceling, "", because("canceled"))
	}
	open := tasks(s.b, func(t *build.Task) bool { return !t.State.Final() && t.State != build.Waiting })
	if len(open) == 0 {
		return
	}
	next := open[0]
	kind := map[build.State]build.Kind{build.Ready: build.Assign, build.Scheduled: build.Begin, build.Building: build.Succeed}[next.State]
	if dice == 1 && next.State == build.Building {
		kind = build.Fail
	}
	s.do(kind, next.Key, because("exit 1"))
}

// check is what must hold once nothing fails any more.
func (g *rig) check(t *testing.T) {
	for _, wrong := range g.forge.wrong {
		t.Error(wrong)
	}
	want := map[Key]Subject{}
	for _, s := range g.source.all {
		for _, subject := range g.reporter.Compose.Subjects(s) {
			k := Key{octo.Key, s.Build.Trigger.Commit, subject.Name()}
			if old, ok := want[k]; !ok || newer(subject, old) {
				want[k] = subject
			}
		}
	}
	for k, s := range want {
		runs := g.forge.runs[k]
		if len(runs) == 0 {
			t.Errorf("%s has no run", s.External())
			continue
		}
		last, check := runs[len(runs)-1], g.reporter.Compose.Check(s)
		if last.external != s.External() || last.state != forge.Final || last.check.Conclusion != check.Conclusion || last.check.Summary != check.Summary {
			t.Errorf("%s at %s shows %s, %d %s; want %s, %s", k.Name, k.Commit, last.external, last.state, last.check.Conclusion, s.External(), check.Conclusion)
		}
		for _, r := range runs {
			if r.finals > 1 {
				t.Errorf("the outcome of %s was written %d times", r.external, r.finals)
			}
		}
		if told := g.memory.told[k]; !told.Done || told.External != s.External() {
			t.Errorf("%s is remembered as %+v", s.External(), told)
		}
	}
	if left := g.reporter.Stats(); left.Waiting > 0 || left.Parked > 0 || len(g.reporter.entries) > 0 {
		t.Errorf("left: %+v, %d entries", left, len(g.reporter.entries))
	}
	g.forge.within(t, time.Minute, 80)
	g.forge.within(t, time.Hour, 500)
}

// within checks that no window of calls has more than the forge takes.
func (m *model) within(t *testing.T, window time.Duration, most int) {
	t.Helper()
	first, calls := 0, m.asked()
	for i, c := range calls {
		for c.at.Sub(calls[first].at) >= window {
			first++
		}
		if n := i - first + 1; n > most {
			t.Fatalf("%d calls within %s", n, window)
		}
	}
}
