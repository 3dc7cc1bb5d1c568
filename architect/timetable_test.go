package architect_test

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/require"
)

// timed is a configuration of pipelines that start by the clock, and of default.
func timed(on map[string]string) files {
	f := twoStages()
	for name, schedule := range on {
		f[".velocityci/pipelines/"+name+".yml"] = "on:\n  schedule: " + schedule + "\nstages:\n  - name: one\n    blueprints: [a]\n"
	}
	return f
}

// A calendar is a rig in a bubble of time, whose architect can be stopped and
// started. Nothing is ever built: what is due is submitted, and that is all.
type calendar struct {
	*rig
	stop func()
}

// newCalendar begins at a time in UTC.
func newCalendar(t *testing.T, at string, config files) *calendar {
	t.Helper()
	from, err := time.Parse(time.DateTime, at)
	if err != nil {
		t.Fatal(err)
	}
	pass(time.Until(from))
	c := &calendar{rig: newRig(t, config, succeed)}
	c.site.Clock = true
	return c
}

// pass lets time pass.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// begin starts a new process of the architect over the same ledger.
func (c *calendar) begin() {
	c.t.Helper()
	a := architect.New(c.wire, slog.New(slog.NewTextHandler(io.Discard, nil)), time.Now)
	c.a, c.wire.Ear = a, a
	c.tell(a.Folded)
	site := &architect.Site{
		Name: "repo", Source: "/repo", Ledger: c.ledger, Inbox: c.ledger, History: c.site.History,
		Repo: c.repo, Logs: c.site.Logs, Clock: true,
	}
	c.site = site
	if err := a.Open(c.t.Context(), site); err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	c.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			c.t.Errorf("Run = %v", err)
		}
	}
	site.Look()
	synctest.Wait()
}

// due lists when which pipelines were started by the clock, in UTC.
func (c *calendar) due() []string {
	var due []string
	all := c.a.Unfinished()
	slices.SortFunc(all, func(a, b *build.Build) int { return cmp.Compare(a.ID.Number, b.ID.Number) })
	for _, b := range all {
		if b.Trigger.Event == plan.EventSchedule {
			due = append(due, b.Name+" "+b.Created.UTC().Format(time.DateTime))
		}
	}
	return due
}

func (c *calendar) want(want ...string) {
	c.t.Helper()
	if got := c.due(); !slices.Equal(got, want) {
		c.t.Errorf("started\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// In the night of 26 March 2000 clocks in Berlin went from 2 to 3, and in that of
// 29 October from 3 to 2.
func TestSchedulesWhenTheClockIsChanged(t *testing.T) {
	config := timed(map[string]string{"nightly": `[{cron: "30 2 * * *", timezone: Europe/Berlin}]`})
	for at, want := range map[string]string{
		"2000-03-26 00:40:00": "nightly 2000-03-26 01:00:00",
		"2000-03-27 00:10:00": "nightly 2000-03-27 00:30:00",
		"2000-10-29 00:10:00": "nightly 2000-10-29 00:30:00",
	} {
		require.Bubble(t, func(t *testing.T) {
			c := newCalendar(t, at, config)
			c.begin()
			defer func() { c.stop() }()
			c.want()
			pass(90 * time.Minute) // in which the clock shows half past two again
			c.want(want)
		})
	}
}

func TestMissedSchedulesAreMadeUpForOnce(t *testing.T) {
	require.Bubble(t, func(t *testing.T) {
		c := newCalendar(t, "2000-01-10 09:30:00", timed(map[string]string{
			"hourly": `[{cron: "0 * * * *"}, {cron: "@hourly"}]`, "nightly": `[{cron: "30 4 * * *"}]`, "yearly": `[{cron: "@yearly"}]`,
		}))
		c.begin()
		pass(time.Hour)
		c.want("hourly 2000-01-10 10:00:00")
		c.stop()
		pass(24 * time.Hour)
		c.begin()
		down := []string{"hourly 2000-01-10 10:00:00", "hourly 2000-01-11 10:30:00", "nightly 2000-01-11 10:30:00"}
		c.want(down...)
		c.stop()
		pass(time.Minute)
		c.begin() // what was made up for is not made up for again
		c.want(down...)
		pass(time.Hour)
		c.want(append(down, "hourly 2000-01-11 11:00:00")...)
		c.stop()
	})
}

// A schedule is that of the default branch, and counts from when it is there.
func TestSchedulesFollowTheDefaultBranch(t *testing.T) {
	require.Bubble(t, func(t *testing.T) {
		c := newCalendar(t, "2000-01-10 09:30:00", timed(map[string]string{"daily": `[{cron: "45 9 * * *"}]`}))
		c.begin()
		defer func() { c.stop() }()
		const other, next, broken = plan.Commit("2222222222222222222222222222222222222222"),
			plan.Commit("3333333333333333333333333333333333333333"), plan.Commit("4444444444444444444444444444444444444444")
		push := func(ref string, commit plan.Commit, config files) {
			c.repo.mu.Lock()
			c.repo.commits[commit], c.repo.tips[ref] = config, commit
			c.repo.mu.Unlock()
			c.site.Look()
			synctest.Wait()
		}
		push("refs/heads/other", other, timed(map[string]string{"other": `[{cron: "* * * * *"}]`}))
		pass(10 * time.Minute)
		c.want()
		push("refs/heads/main", next, timed(map[string]string{"daily": `[{cron: "35,55 9,10 * * *"}]`})) // one of which has been, today
		pass(10 * time.Minute)
		c.want()
		pass(10 * time.Minute)
		c.want("daily 2000-01-10 09:55:00")
		push("refs/heads/main", broken, files{".velocityci/pipelines/daily.yml": "stages: 1"})
		pass(40 * time.Minute)
		c.want("daily 2000-01-10 09:55:00")
	})
}

// A server that shall not look at the clock does not.
func TestSchedulesOfOthers(t *testing.T) {
	require.Bubble(t, func(t *testing.T) {
		c := newCalendar(t, "2000-01-10 09:30:00", timed(map[string]string{"hourly": `[{cron: "@hourly"}]`}))
		c.site.Clock = false
		c.run()
		c.site.Look()
		pass(2 * time.Hour)
		c.want()
	})
}
