package architect

import (
	"context"
	"slices"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A timetable is what a site's default branch says about times at which pipelines
// start, and up to when that was dealt with. Only the intake uses it.
//
// A schedule that is new, or was changed, counts from when it is first seen. What
// was missed while nobody looked is made up for once, however often it was due.
type timetable struct {
	commit   plan.Commit // where the schedules were read
	entries  []timed
	recorded []build.Mark // as the ledger has them, or is about to
}

// timed is a schedule and the time up to which it was dealt with.
type timed struct {
	blueprint.Schedule
	until time.Time
}

// due reports whether its time has come.
func (e timed) due(now time.Time) bool {
	next := e.Next(e.until)
	return !next.IsZero() && !next.After(now)
}

// lookAtClock bounds how long the intake waits for a time to come: a clock that
// is put forward, or a machine that slept, is noticed after that.
const lookAtClock = time.Minute

// keepTime builds what is due by the clock and returns how long it may wait until
// it looks again; 0 is until there is other news.
func (a *Architect) keepTime(ctx context.Context, s *Site) (time.Duration, error) {
	if !s.Clock {
		return 0, nil
	}
	head, err := s.Repo.Head(ctx)
	if err != nil {
		return 0, err
	}
	if err := a.readTimetable(ctx, s, s.tips[head]); err != nil {
		return 0, err
	}
	now := a.Now()
	for i := range s.times.entries {
		e := &s.times.entries[i]
		if !e.due(now) {
			continue // perhaps since another schedule of its pipeline has just started that
		}
		s.times.dealtWith(e.Pipeline, now)
		if err := a.answer(ctx, s, s.scheduled(head, e.Pipeline, now), build.Change{Marks: s.times.recorded}); err != nil {
			return 0, err
		}
	}
	return s.times.wait(now), nil
}

// scheduled is the trigger of a pipeline whose time has come.
func (s *Site) scheduled(head, pipeline string, now time.Time) plan.Trigger {
	t := plan.Trigger{
		ID:    "due-" + now.UTC().Format("20060102T150405.000") + "-" + pipeline,
		Event: plan.EventSchedule, Ref: head, Commit: s.tips[head], Name: pipeline, Received: now,
	}
	t.Request = t.ID // the same commit is built whenever the time has come
	return t
}

// readTimetable reads the schedules if they are those of another commit. Of a
// configuration with mistakes nobody knows what it means: it has none.
func (a *Architect) readTimetable(ctx context.Context, s *Site, commit plan.Commit) error {
	if s.times.commit == commit {
		return nil
	}
	var schedules []blueprint.Schedule
	if !commit.Zero() {
		config, err := s.configAt(ctx, commit)
		if err != nil {
			return err
		}
		if config != nil {
			schedules = config.Schedules()
		}
	}
	s.times.commit = commit
	if s.times.replace(schedules, a.Now()) {
		a.settle(s, build.Change{Marks: s.times.recorded})
	}
	return nil
}

// configAt is the configuration of a commit, nil if it cannot be read or has
// mistakes: the build of its push says so.
func (s *Site) configAt(ctx context.Context, commit plan.Commit) (*blueprint.Config, error) {
	tree, _, err := s.Repo.Tree(ctx, commit)
	if err != nil {
		return nil, context.Cause(ctx)
	}
	config, findings, err := blueprint.Load(tree)
	if err != nil || findings.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return config, nil
}

// replace takes other schedules and keeps what is known about those that were
// there before. It reports whether there is something to record.
func (t *timetable) replace(schedules []blueprint.Schedule, now time.Time) (changed bool) {
	t.entries = nil
	for _, s := range schedules {
		same := func(m build.Mark) bool { return m.Pipeline == s.Pipeline && m.Cron == s.Cron && m.Zone == s.Zone }
		if slices.ContainsFunc(t.marks(), same) {
			continue // written twice
		}
		e := timed{Schedule: s, until: now}
		if i := slices.IndexFunc(t.recorded, same); i >= 0 {
			e.until = t.recorded[i].Until
		}
		t.entries = append(t.entries, e)
	}
	marks := t.marks()
	changed = !slices.Equal(marks, t.recorded)
	t.recorded = marks
	return changed
}

// dealtWith marks the due schedules of a pipeline.
func (t *timetable) dealtWith(pipeline string, now time.Time) {
	for i := range t.entries {
		if e := &t.entries[i]; e.Pipeline == pipeline && e.due(now) {
			e.until = now
		}
	}
	t.recorded = t.marks()
}

// marks is what there is to record; never nil.
func (t *timetable) marks() []build.Mark {
	marks := []build.Mark{}
	for _, e := range t.entries {
		marks = append(marks, build.Mark{Pipeline: e.Pipeline, Cron: e.Cron, Zone: e.Zone, Until: e.until})
	}
	return marks
}

// wait is how long nothing is due, at most lookAtClock; 0 if nothing ever is.
func (t *timetable) wait(now time.Time) time.Duration {
	var first time.Time
	for _, e := range t.entries {
		if next := e.Next(e.until); !next.IsZero() && (first.IsZero() || next.Before(first)) {
			first = next
		}
	}
	if first.IsZero() {
		return 0
	}
	return min(max(first.Sub(now), time.Millisecond), lookAtClock)
}
