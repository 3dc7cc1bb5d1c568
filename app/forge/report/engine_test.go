package report

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/require"
)

// bubble runs a Reporter without faults until test returns.
func bubble(t *testing.T, test func(t *testing.T, g *rig)) {
	require.Bubble(t, func(t *testing.T) {
		g := newRig(1, 0)
		g.start()
		defer g.end()
		synctest.Wait()
		test(t, g)
	})
}

// states are what was posted, in order.
func (m *model) states() (all []forge.State) {
	for _, c := range m.asked() {
		all = append(all, c.state)
	}
	return all
}

// A build is queued and its outcome posted at once; what lies between waits, and
// only the last of it is told.
func TestPace(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s, begun := newSite(t, request(1, []string{"unit", "lint", "vet"})).open(), time.Now()
		g.reporter.Changed(s.shown())
		synctest.Wait()
		for range 100 {
			g.reporter.Changed(s.do(build.Notice, "", because("x")).shown())
		}
		g.reporter.Changed(s.do(build.Assign, "s0t0").do(build.Begin, "s0t0").shown())
		synctest.Wait()
		if got := g.forge.states(); !slices.Equal(got, []forge.State{forge.Queued}) {
			t.Fatalf("posted %v at once; want one post", got)
		}
		pass(stepEvery)
		g.reporter.Changed(s.do(build.Succeed, "s0t0").shown())
		pass(progressEvery - time.Second)
		g.reporter.Changed(s.run("s0t1", build.Succeed).shown())
		pass(time.Second)
		g.reporter.Changed(s.run("s0t2", build.Succeed).shown())
		synctest.Wait()
		want := []forge.State{forge.Queued, forge.Running, forge.Running, forge.Final}
		if got := g.forge.states(); !slices.Equal(got, want) {
			t.Errorf("posted %v; want %v", got, want)
		}
		if at := g.forge.asked()[3].at.Sub(begun); at != stepEvery+progressEvery {
			t.Errorf("the outcome was posted after %s; want at once", at)
		}
		if got := g.forge.of(keyOf(g.forge.asked()[0].check))[0].check.Title; got != "Passed: 3 tasks" {
			t.Errorf("shown is %q", got)
		}
	})
}

// When calls are scarce, outcomes go before checks that are not there yet, and
// these before progress.
func TestOutcomesGoFirst(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.forge.limit(time.Minute)
		for n := range int64(30) {
			s := newSite(t, request(n+1, []string{"unit"})).open()
			s.b.Trigger.Commit = plan.Commit(string(commit[:38]) + string(rune('a'+n%6)) + string(rune('0'+n/6)))
			g.reporter.Changed(s.shown())
			if synctest.Wait(); n%3 > 0 {
				s.do(build.Assign, "s0t0").do(build.Begin, "s0t0")
			}
			if n%3 == 2 {
				s.do(build.Succeed, "s0t0")
			}
			g.reporter.Changed(s.shown())
		}
		before := len(g.forge.asked())
		pass(5 * time.Minute)
		last := finish
		for i, c := range g.forge.asked()[before:] {
			if c.rank > last {
				t.Fatalf("call %d has rank %d, after one of rank %d", i, c.rank, last)
			}
			last = c.rank
		}
		if n := len(g.forge.asked()) - before; n != 30 {
			t.Errorf("%d calls; want 30", n)
		}
	})
}

// Forges give up what does not move for days: it is told again each day, until it
// is over.
func TestWhatGoesOnIsToldAgain(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := newSite(t, request(1, []string{"unit"})).open()
		g.source.put(s.shown())
		g.reporter.Changed(s.shown())
		if pass(10*24*time.Hour + time.Minute); len(g.forge.asked()) != 11 {
			t.Errorf("%d calls in ten days; want 11", len(g.forge.asked()))
		}
		s.at = time.Now()
		g.source.put(s.run("s0t0", build.Succeed).shown())
		if pass(10 * 24 * time.Hour); len(g.forge.asked()) != 12 {
			t.Errorf("%d calls with the outcome; want 12", len(g.forge.asked()))
		}
	})
}

// However much there is to say of builds that go on, an outcome need not wait.
func TestOutcomesDoNotWait(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		for n := range int64(200) {
			s := newSite(t, request(n+1, []string{"unit"})).open()
			s.b.Name += string(rune(0x4e00 + n))
			g.reporter.Changed(s.shown())
		}
		for n := range int64(20) {
			pass(time.Minute)
			s := newSite(t, request(n+1000, []string{"unit"})).open().run("s0t0", build.Succeed)
			s.b.Name += string(rune(0x5e00 + n))
			g.reporter.Changed(s.shown())
			synctest.Wait()
			if len(g.forge.of(Key{octo.Key, commit, Subject{Shown: s.shown()}.Name()})) == 0 {
				t.Fatalf("outcome %d waits", n)
			}
		}
	})
}

// A flood is held back to what a forge takes in a minute and in an hour.
func TestLimits(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		for n := range int64(1000) {
			s := newSite(t, request(n+1, []string{"unit"})).open().run("s0t0", build.Succeed)
			s.b.Name += string(rune(0x4e00 + n))
			g.reporter.Changed(s.shown())
		}
		pass(3 * time.Hour)
		g.forge.within(t, time.Minute, 70)
		g.forge.within(t, time.Hour, 400)
		if got := len(g.forge.asked()); got < 900 || got != g.reporter.Stats().Posts {
			t.Errorf("%d calls in three hours, of which %d are counted; want about 100 and 300 an hour", got, g.reporter.Stats().Posts)
		}
		if s := g.reporter.Stats(); s.Waiting != 1000-s.Posts || s.OldestWait != 3*time.Hour {
			t.Errorf("stats %+v", s)
		}
	})
}

// refusing is a forge that answers every post with an error.
type refusing struct {
	err   error
	posts int
}

func (r *refusing) Post(_ context.Context, _ forge.Check, told forge.Told) (forge.Told, error) {
	r.posts++
	return told, r.err
}

func TestRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		err    error
		within time.Duration // time that passes
		posts  int           // in it
		parked bool
	}{
		"gone":             {forge.ErrGone, 2 * time.Minute, 3, true},
		"gone for good":    {forge.ErrGone, 3 * time.Hour, 3, true},
		"forbidden":        {forge.ErrForbidden, time.Minute, 1, true},
		"forbidden, sweep": {forge.ErrForbidden, 2*time.Hour + time.Minute, 3, true},
		"invalid":          {forge.ErrInvalid, 3 * time.Hour, 1, true},
		"broken":           {errBroken, 3 * time.Second, 2, false},
		"broken for long":  {errBroken, 24 * time.Hour, 380, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				r, notices := &refusing{err: tt.err}, []string{}
				g.reporter.Posters[forge.GitHub] = r
				g.reporter.Jitter = func() float64 { return 0.5 }
				g.reporter.Notice = func(_ forge.Repository, id build.ID, reason string) {
					notices = append(notices, id.String()+" "+reason)
				}
				s := newSite(t, request(7, []string{"unit"})).open()
				g.source.put(s.shown())
				g.reporter.Changed(s.shown())
				pass(tt.within)
				if r.posts < tt.posts || r.posts > tt.posts && tt.parked {
					t.Errorf("%d posts; want %d", r.posts, tt.posts)
				}
				parked := g.reporter.Parked()
				if (len(parked) == 1) != tt.parked || len(notices) != len(parked) || g.reporter.Stats().Parked != len(parked) {
					t.Fatalf("parked %+v, notices %q, stats %+v", parked, notices, g.reporter.Stats())
				}
				if tt.parked && (parked[0].Reason != tt.err.Error() || parked[0].Build != s.b.ID || notices[0] != "k3f9a2-7 "+tt.err.Error()) {
					t.Errorf("parked %+v, notices %q", parked[0], notices)
				}
			})
		})
	}
}

// What is parked is tried again when there is something else to say, and when the
// repository has come to be reached in another way.
func TestParkedIsTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		r := &refusing{err: forge.ErrForbidden}
		g.reporter.Posters[forge.GitHub] = r
		s := newSite(t, request(7, []string{"unit"})).open()
		g.reporter.Changed(s.shown())
		pass(time.Minute)
		g.reporter.Changed(s.do(build.Assign, "s0t0").shown())
		if pass(time.Minute); r.posts != 1 {
			t.Errorf("%d posts to one who does not permit it; want 1", r.posts)
		}
		r.err = forge.ErrInvalid
		moved := s.shown()
		moved.Repository.Installation++
		g.reporter.Changed(moved)
		if pass(time.Minute); r.posts != 2 {
			t.Errorf("%d posts after another installation; want 2", r.posts)
		}
		again := s.do(build.Begin, "s0t0").shown()
		again.Repository = moved.Repository
		g.reporter.Changed(again)
		if pass(time.Minute); r.posts != 3 {
			t.Errorf("%d posts after the build moved; want 3", r.posts)
		}
	})
}

// A held build's check is final, and the approved one's is another.
func TestApprovedBuildIsShownAnew(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := newSite(t, held(request(7, []string{"unit"})))
		before := s.shown()
		g.reporter.Changed(before)
		synctest.Wait()
		if _, err := s.b.Do(approved(s.b, s.at)); err != nil {
			t.Fatal(err)
		}
		g.reporter.Changed(s.open().shown())
		synctest.Wait()
		g.reporter.Changed(before) // late
		pass(time.Minute)
		k := keyOf(g.forge.asked()[0].check)
		if runs := g.forge.of(k); len(runs) != 2 || runs[0].external != "k3f9a2-7/approval" || runs[1].external != "k3f9a2-7" || runs[1].state != forge.Queued {
			t.Errorf("runs %+v; want the held one and then the queued one", runs)
		}
		g.reporter.Changed(s.run("s0t0", build.Succeed).shown())
		synctest.Wait()
		g.reporter.Changed(before) // when nothing but what was told is remembered
		pass(time.Minute)
		if runs := g.forge.of(k); len(runs) != 2 || runs[1].state != forge.Final {
			t.Errorf("runs %+v; want the approved one, and over", runs)
		}
	})
}

// The memory fails after the forge was told: nothing is told twice, and it is kept
// later.
func TestMemoryFails(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		m := &forgetful{Memory: g.reporter.Memory, fail: 2}
		g.reporter.Memory = m
		s := newSite(t, request(7, []string{"unit"})).open().run("s0t0", build.Succeed)
		g.reporter.Changed(s.shown())
		pass(time.Minute)
		if len(g.forge.asked()) != 1 || len(g.reporter.entries) != 0 {
			t.Errorf("%d calls, %d left; want one call", len(g.forge.asked()), len(g.reporter.entries))
		}
		if told := g.memory.told[keyOf(g.forge.asked()[0].check)]; !told.Done {
			t.Errorf("kept is %+v", told)
		}
	})
}

// That a check is queued of which a forge was never told is shown before anything is
// kept; what comes after that is not.
func TestQueuedIsNotKeptBefore(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.reporter.Memory = full{g.reporter.Memory}
		s := newSite(t, request(7, []string{"unit"})).open()
		g.reporter.Changed(s.shown())
		synctest.Wait()
		g.reporter.Changed(s.run("s0t0", build.Succeed).shown())
		other := newSite(t, request(8, []string{"unit"}))
		other.b.Name = "other"
		g.reporter.Changed(other.open().run("s0t0", build.Succeed).shown())
		pass(time.Minute)
		if got := g.forge.states(); !slices.Equal(got, []forge.State{forge.Queued}) {
			t.Errorf("posted %v by a memory that keeps nothing; want that one is queued", got)
		}
	})
}

// A full memory keeps nothing more.
type full struct{ Memory }

func (full) Keep(context.Context, Key, forge.Told) error {
	return errors.New("no space left on device")
}

// A forgetful memory fails to keep the second write, some times.
type forgetful struct {
	Memory
	writes, fail int
}

func (f *forgetful) Keep(ctx context.Context, k Key, told forge.Told) error {
	if f.writes++; f.writes > 1 && f.fail > 0 {
		f.fail--
		return errors.New("no space left on device")
	}
	return f.Memory.Keep(ctx, k, told)
}

// With a check for each task, tasks that wait take no calls, unless an older
// outcome stands in their place.
func TestTasksThatWaitAreNotTold(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.perTask = true
		first := newSite(t, request(7, []string{"unit", "lint"})).open()
		g.reporter.Changed(first.shown())
		if pass(time.Minute); len(g.forge.asked()) != 1 {
			t.Errorf("%d calls for a queued build; want 1", len(g.forge.asked()))
		}
		g.reporter.Changed(first.run("s0t0", build.Fail, because("exit 1")).run("s0t1", build.Succeed).shown())
		if pass(time.Minute); len(g.forge.asked()) != 4 {
			t.Errorf("%d calls for a build and its tasks; want 4", len(g.forge.asked()))
		}
		g.reporter.Changed(newSite(t, request(8, []string{"unit", "lint"})).open().shown())
		if pass(time.Minute); len(g.forge.asked()) != 7 {
			t.Errorf("%d calls with the second build; want 7", len(g.forge.asked()))
		}
	})
}

// A build that breaks the Composer is parked, and the next one is shown.
func TestPoisonIsParked(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.reporter.Compose.Page = func(id build.ID, _ string) string {
			if id.Number == 7 {
				panic("poison")
			}
			return ""
		}
		g.reporter.Changed(newSite(t, request(7, []string{"unit"})).open().shown())
		pass(time.Minute)
		if parked := g.reporter.Parked(); len(parked) != 1 || !strings.HasSuffix(parked[0].Reason, "internal error: poison") {
			t.Errorf("parked %+v", parked)
		}
		g.reporter.Changed(newSite(t, request(8, []string{"unit"})).open().shown())
		if pass(time.Minute); len(g.forge.asked()) != 1 || len(g.reporter.Parked()) != 0 {
			t.Errorf("%d calls, parked %+v", len(g.forge.asked()), g.reporter.Parked())
		}
	})
}

// A parked check of a build that nobody asks about any more is forgotten.
func TestParkedIsForgotten(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.reporter.Posters[forge.GitHub] = &refusing{err: forge.ErrInvalid}
		g.reporter.Changed(newSite(t, request(7, []string{"unit"})).open().shown())
		pass(time.Minute)
		g.reporter.Sweep(context.Background())
		if left := len(g.reporter.entries); left != 0 {
			t.Errorf("%d entries; want none", left)
		}
	})
}

// A build of a hundred tasks takes one call for each thing that people look at:
// that it is there, that it runs, each quarter of a minute, and how it went.
func TestCallsOfABuild(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := newSite(t, request(1, slices.Repeat([]string{"task"}, 100))).open()
		g.reporter.Changed(s.shown())
		synctest.Wait()
		for _, task := range tasks(s.b, func(*build.Task) bool { return true }) {
			for _, kind := range []build.Kind{build.Assign, build.Begin, build.Succeed} {
				g.reporter.Changed(s.do(kind, task.Key).shown())
				pass(300 * time.Millisecond)
			}
		}
		if got := len(g.forge.asked()); got != 3+75/15 {
			t.Errorf("%d calls for 300 moves in 90 seconds; want 8", got)
		}
	})
}
