package architect_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

func push(ref string, c plan.Commit) plan.Trigger {
	return plan.Trigger{Event: plan.EventPush, Ref: ref, Commit: c}
}

func TestFirstLookBuildsOnlyHead(t *testing.T) {
	g := newRig(t, twoStages(), succeed)
	g.repo.tips["refs/heads/old"] = head
	g.run()
	g.here()
	g.site.Look()
	b := g.final()
	if b.State() != build.Succeeded || b.Trigger.Ref != "refs/heads/main" || b.Counts().String() != "3/3" {
		t.Errorf("build of %s %s %s; want main succeeded 3/3", b.Trigger.Ref, b.State(), b.Counts())
	}
	if err := g.a.WaitIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := map[string]plan.Commit{"refs/heads/main": head, "refs/heads/old": head}
	if diff := cmp.Diff(want, g.tips()); diff != "" {
		t.Errorf("tips (-want +got):\n%s", diff)
	}
}

// Where every push is told, the first one is built and the branches that were
// there before are only remembered, so that a later look does not build them.
func TestFirstPushToldRemembersTheRest(t *testing.T) {
	g := newRig(t, twoStages(), succeed)
	g.site.Told = true
	g.repo.tips["refs/heads/old"] = head
	g.repo.tips["refs/heads/new"] = head
	g.run()
	g.here()
	g.submit(push("refs/heads/new", head))
	if b := g.final(); b.Trigger.Ref != "refs/heads/new" {
		t.Errorf("built %s; want the branch that was pushed", b.Trigger.Ref)
	}
	g.site.Look()
	if err := g.a.WaitIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(g.closed) > 0 {
		t.Errorf("the look built %s", (<-g.closed).Trigger.Ref)
	}
	if n := len(g.tips()); n != 3 {
		t.Errorf("%d tips are remembered; want 3", n)
	}
}

// An equal trigger is answered with the build that exists, whichever way it came.
func TestEqualTriggersMakeOneBuild(t *testing.T) {
	g := newRig(t, twoStages(), succeed)
	g.run()
	g.submit(plan.Trigger{ID: "hook-1", Event: plan.EventPush, Ref: "refs/heads/main", Commit: head})
	g.submit(plan.Trigger{ID: "hook-2", Event: plan.EventPush, Ref: "refs/heads/main", Commit: head})
	g.site.Look()
	one, ok, err := g.a.Answered(t.Context(), g.site, "hook-1")
	if err != nil || !ok || len(one.Builds) != 1 {
		t.Fatalf("Answered(hook-1) = %v, %v, %v; want one build", one, ok, err)
	}
	two, _, _ := g.a.Answered(t.Context(), g.site, "hook-2")
	if diff := cmp.Diff(one, two); diff != "" {
		t.Errorf("second answer (-first +second):\n%s", diff)
	}
	g.here()
	g.final()
	g.submit(plan.Trigger{ID: "hook-3", Event: plan.EventPush, Ref: "refs/heads/main", Commit: head})
	three, _, _ := g.a.Answered(t.Context(), g.site, "hook-3")
	if diff := cmp.Diff(one, three); diff != "" {
		t.Errorf("answer after the end (-first +third):\n%s", diff)
	}
	g.submit(plan.Trigger{ID: "again", Event: plan.EventPush, Ref: "refs/heads/main", Commit: head, Name: "default", Request: "again", Parent: one.Builds[0].String()})
	if b := g.final(); b.ID == one.Builds[0] || b.Trigger.Parent != one.Builds[0].String() {
		t.Errorf("a re-run is build %s with parent %q; want a new one of %s", b.ID, b.Trigger.Parent, one.Builds[0])
	}
	// A death may leave the request in the inbox beside its build.
	g.submit(plan.Trigger{ID: "left", Event: plan.EventPush, Ref: "refs/heads/main", Commit: head, Name: "default", Request: "again"})
	asked, _, _ := g.a.Answered(t.Context(), g.site, "again")
	left, _, _ := g.a.Answered(t.Context(), g.site, "left")
	if diff := cmp.Diff(asked, left); diff != "" {
		t.Errorf("answer to a request that was answered (-first +second):\n%s", diff)
	}
}

// Whoever pushes chooses what the commit says: it is kept short and harmless.
func TestABuildSaysWhoseCommitItIs(t *testing.T) {
	g := newRig(t, twoStages(), succeed)
	g.run()
	g.here()
	g.submit(push("refs/heads/main", head))
	b := g.final()
	if want := "say why " + strings.Repeat("é", 96); b.Author != "Ann <ann@example.org>" || b.Subject != want {
		t.Errorf("the build is of %q, %q; want Ann's, %q", b.Author, b.Subject, want)
	}
}

func TestWhatCannotBePlannedIsABuildThatSaysSo(t *testing.T) {
	gone := plan.Commit(strings.Repeat("2", 40))
	for name, c := range map[string]struct {
		config files
		ask    plan.Trigger
		panics bool
		want   string
	}{
		"broken file":    {config: files{".velocityci/blueprints/a.yml": "steps: 1\n"}, ask: push("refs/heads/x", head), want: "configuration: .velocityci/blueprints/a.yml:1:"},
		"gone commit":    {config: twoStages(), ask: push("refs/heads/x", gone), want: "commit " + string(gone) + " is gone"},
		"unknown name":   {config: twoStages(), ask: plan.Trigger{Event: plan.EventManual, Commit: head, Name: "defualt", Request: "r"}, want: "default"},
		"poison":         {config: twoStages(), ask: push("refs/heads/x", head), panics: true, want: "internal error while planning: poison"},
		"missing values": {config: files{".velocityci/blueprints/a.yml": "parameters: [{name: who}]\nsteps: [{type: run, command: \"echo ${who}\"}]\n"}, ask: plan.Trigger{Event: plan.EventManual, Commit: head, Name: "a", Request: "r"}, want: "who"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, c.config, succeed)
			g.repo.panics = c.panics
			g.run()
			g.submit(c.ask)
			b := g.final()
			if b.State() != build.Failed || !strings.Contains(b.Reason(), c.want) {
				t.Errorf("build %s, reason %q; want failed with %q", b.State(), b.Reason(), c.want)
			}
			if _, moves := g.build(b.ID); len(moves) != 2 {
				t.Errorf("%d moves; want submit and refuse", len(moves))
			}
		})
	}
}

func TestNothingToBuildIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		config files
		ask    plan.Trigger
		want   string
	}{
		"no configuration": {files{}, push("refs/heads/x", head), "no configuration at 1111111"},
		"no pipeline":      {twoStages(), push("refs/tags/v1", head), "no pipeline asks for refs/tags/v1"},
		"skip":             {twoStages(), plan.Trigger{Event: plan.EventPush, Ref: "refs/heads/x", Commit: head, Skip: true}, "skipped"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t, c.config, succeed)
			g.run()
			c.ask.ID = "one"
			g.submit(c.ask)
			answer, ok, err := g.a.Answered(t.Context(), g.site, "one")
			if err != nil || !ok || len(answer.Builds) > 0 || !strings.Contains(answer.Note, c.want) {
				t.Errorf("answer %+v, %v, %v; want a note with %q", answer, ok, err, c.want)
			}
			if err := g.a.WaitIdle(t.Context()); err != nil {
				t.Fatal(err)
			}
			if left, err := g.ledger.Pending(t.Context()); err != nil || len(left) > 0 {
				t.Errorf("the inbox still holds %v, %v", left, err)
			}
		})
	}
}

func TestFailureClosesLaterStages(t *testing.T) {
	g := newRig(t, twoStages(), func(a dispatch.Assignment, _ func() string) dispatch.Result {
		if a.Task.Name == "b" {
			return dispatch.Result{Verdict: dispatch.Failed, Reason: "exit 2"}
		}
		return dispatch.Result{Verdict: dispatch.Succeeded}
	})
	g.run()
	g.here()
	g.site.Look()
	b := g.final()
	if b.State() != build.Failed || b.Reason() != "b: exit 2" || b.Counts().String() != "1/3" {
		t.Errorf("build %s %s %q; want failed 1/3 b: exit 2", b.State(), b.Counts(), b.Reason())
	}
	if c := &b.Stages[1].Tasks[0]; c.State != build.Waiting || b.TaskReason(c) != "never ran" {
		t.Errorf("later task %s %q; want waiting, never ran", c.State, b.TaskReason(c))
	}
}

// Interrupted attempts are tried again under a new number, and not for ever.
func TestInterruptedAttempts(t *testing.T) {
	g := newRig(t, twoStages(), func(a dispatch.Assignment, _ func() string) dispatch.Result {
		switch {
		case a.Task.Name == "a" && a.Attempt.Number < 3:
			return dispatch.Result{Verdict: dispatch.Interrupted, Reason: "drained"}
		case a.Task.Name == "b":
			return dispatch.Result{Verdict: dispatch.Interrupted, Reason: "disk full"}
		}
		return dispatch.Result{Verdict: dispatch.Succeeded}
	})
	g.run()
	g.here()
	g.site.Look()
	b := g.final()
	one, two := b.Stages[0].Tasks[0], b.Stages[0].Tasks[1]
	if one.State != build.Succeeded || one.Attempt != 3 || len(one.Lost) != 2 {
		t.Errorf("a is %s at attempt %d after %d lost; want succeeded at 3 after 2", one.State, one.Attempt, len(one.Lost))
	}
	if two.State != build.Failed || two.Reason != "disk full (3 attempts)" {
		t.Errorf("b is %s %q; want failed, disk full (3 attempts)", two.State, two.Reason)
	}
}

// A builder whose process restarted has lost what it ran; a late word of the old
// attempt changes nothing.
func TestRestartedBuilder(t *testing.T) {
	started := make(chan dispatch.Attempt, 10)
	g := newRig(t, twoStages(), func(a dispatch.Assignment, wait func() string) dispatch.Result {
		started <- a.Attempt
		if a.Attempt.Number == 1 && a.Task.Name != "c" {
			wait()
			return dispatch.Result{}
		}
		return dispatch.Result{Verdict: dispatch.Succeeded}
	})
	g.run()
	g.here()
	g.site.Look()
	old := <-started
	<-started
	g.worker.mu.Lock()
	g.worker.boot, g.worker.running = "two", nil
	g.worker.mu.Unlock()
	g.here()
	b := g.final()
	if b.State() != build.Succeeded {
		t.Fatalf("build %s %q; want succeeded", b.State(), b.Reason())
	}
	if task := b.Stages[0].Tasks[0]; task.Attempt != 2 || task.Lost[0].Reason != "builder restarted" {
		t.Errorf("attempt %d, lost %+v; want attempt 2 after a restart", task.Attempt, task.Lost)
	}
	if err := g.wire.End(t.Context(), dispatch.Result{Attempt: old, Verdict: dispatch.Failed}); !errors.Is(err, dispatch.ErrStale) {
		t.Errorf("late result = %v; want ErrStale", err)
	}
}

func TestSilentBuilderIsLost(t *testing.T) {
	started := make(chan struct{}, 10)
	g := newRig(t, twoStages(), func(_ dispatch.Assignment, wait func() string) dispatch.Result {
		started <- struct{}{}
		wait()
		return dispatch.Result{}
	})
	g.a.Attempts = 1
	g.run()
	g.here()
	g.site.Look()
	<-started
	<-started
	g.advance(dispatch.LostAfter + time.Second)
	g.a.Overdue()
	if b := g.final(); b.Reason() != "a: lost builder (1 attempts)" {
		t.Errorf("reason %q; want a: lost builder (1 attempts)", b.Reason())
	}
}

func TestRefusedAssignmentGoesBack(t *testing.T) {
	g := newRig(t, twoStages(), succeed)
	g.a.Attempts = 100
	g.worker.refuse = &dispatch.RefusedError{Reason: "draining"}
	g.run()
	g.here()
	g.site.Look()
	answer := g.waitLost("refused: draining")
	g.worker.mu.Lock()
	g.worker.refuse = nil
	g.worker.mu.Unlock()
	g.here()
	if b := g.final(); b.ID != answer || b.State() != build.Succeeded {
		t.Errorf("build %s %s; want %s succeeded", b.ID, b.State(), answer)
	}
}

// A builder that is gone cannot be asked: it gets nothing more before it shows
// that it is back, and a task loses one try by it and not all.
func TestUnansweredAssignmentWaits(t *testing.T) {
	g := newRig(t, twoStages(), succeed)
	g.worker.refuse = errors.New("nobody listens")
	g.run()
	g.here()
	g.site.Look()
	id := g.waitLost("no answer from builder b")
	g.worker.mu.Lock()
	g.worker.refuse = nil
	g.worker.mu.Unlock()
	g.here()
	b := g.final()
	if b.ID != id || b.State() != build.Succeeded {
		t.Errorf("build %s %s, %q; want %s succeeded", b.ID, b.State(), b.Reason(), id)
	}
	for _, task := range b.Stages[0].Tasks {
		if task.Attempt != 2 {
			t.Errorf("task %s needed %d attempts; want 2", task.Name, task.Attempt)
		}
	}
}

// waitLost waits until every task of the first stage of a build was interrupted
// for reason.
func (g *rig) waitLost(reason string) build.ID {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), 30*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		for _, b := range g.a.Unfinished() {
			v, ok := g.a.Watch(b.ID)
			if !ok {
				continue
			}
			b, _, changed := v.State()
			v.Close()
			if t := b.Stages[0].Tasks; len(t[0].Lost) > 0 && len(t[1].Lost) > 0 && t[0].Lost[0].Reason == reason {
				return b.ID
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}
	g.t.Fatalf("no attempt was interrupted for %q", reason)
	return build.ID{}
}

func TestCancel(t *testing.T) {
	started := make(chan build.ID, 10)
	g := newRig(t, twoStages(), func(a dispatch.Assignment, wait func() string) dispatch.Result {
		started <- a.Attempt.Build
		return dispatch.Result{Verdict: dispatch.Failed, Reason: wait()}
	})
	g.run()
	g.here()
	g.site.Look()
	id := <-started
	if err := g.a.Cancel(t.Context(), id, "canceled"); err != nil {
		t.Fatal(err)
	}
	b := g.final()
	if b.State() != build.Failed || b.Reason() != "canceled" || b.Stages[0].Tasks[0].Reason != "canceled" {
		t.Errorf("build %s %q; want failed, canceled", b.State(), b.Reason())
	}
	if err := g.a.Cancel(t.Context(), id, "canceled"); !errors.Is(err, architect.ErrNoBuild) {
		t.Errorf("second Cancel = %v; want ErrNoBuild", err)
	}
}

// A builder that does not answer a cancel does not keep the build alive.
func TestCancelOfADeafBuilder(t *testing.T) {
	started := make(chan build.ID, 10)
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	g := newRig(t, twoStages(), func(a dispatch.Assignment, _ func() string) dispatch.Result {
		started <- a.Attempt.Build
		<-never
		return dispatch.Result{}
	})
	g.run()
	g.here()
	g.site.Look()
	id := <-started
	<-started
	if err := g.a.Cancel(t.Context(), id, "superseded"); err != nil {
		t.Fatal(err)
	}
	g.live(16 * time.Second)
	g.a.Overdue()
	if b := g.final(); b.Reason() != "superseded" {
		t.Errorf("reason %q; want superseded", b.Reason())
	}
}

// A builder that does what always runs has a minute more to end after a cancel.
func TestCancelWaitsForCleanup(t *testing.T) {
	started := make(chan build.ID, 10)
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	g := newRig(t, twoStages(), func(a dispatch.Assignment, _ func() string) dispatch.Result {
		started <- a.Attempt.Build
		<-never
		return dispatch.Result{}
	})
	g.run()
	g.here()
	p := g.plan()
	p.Stages[0].Tasks[0].Steps[0].Always = true
	w, err := g.a.Submit(t.Context(), g.site, p, plan.Trigger{ID: "one", Event: plan.EventManual, Commit: head}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	id := <-started
	<-started
	if err := g.a.Cancel(t.Context(), id, "superseded"); err != nil {
		t.Fatal(err)
	}
	g.live(72 * time.Second)
	g.a.Overdue()
	if b, _ := g.build(id); b.State() != build.Building {
		t.Fatalf("build is %s before the minute is over; want building", b.State())
	}
	g.live(6 * time.Second)
	g.a.Overdue()
	if b := g.final(); b.Reason() != "superseded" {
		t.Errorf("reason %q; want superseded", b.Reason())
	}
}

// What an earlier process left unfinished goes on: attempts that the builder
// does not claim are tried again, those it claims are left alone.
func TestOpenGoesOn(t *testing.T) {
	g := newRig(t, twoStages(), func(a dispatch.Assignment, wait func() string) dispatch.Result {
		if a.Attempt.Number == 1 {
			wait()
			return dispatch.Result{}
		}
		return dispatch.Result{Verdict: dispatch.Succeeded}
	})
	g.run()
	g.here()
	g.submit(plan.Trigger{ID: "one", Event: plan.EventPush, Ref: "refs/heads/main", Commit: head})
	answer, _, err := g.a.Answered(t.Context(), g.site, "one")
	if err != nil {
		t.Fatal(err)
	}
	id := answer.Builds[0]
	g.untilBuilding(id)

	next := newRig(t, twoStages(), succeed)
	b, moves := g.build(id)
	replayed, err := build.Replay(moves)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b, replayed); diff != "" {
		t.Fatalf("recorded state and replay differ (-state +replay):\n%s", diff)
	}
	p := g.plan()
	recorded := make(chan error, 1)
	next.ledger.Append(build.Change{Build: replayed, Moves: moves, Plan: p}, func(err error) { recorded <- err })
	if err := <-recorded; err != nil {
		t.Fatal(err)
	}
	next.worker.boot = "two"
	next.worker.running = map[dispatch.Attempt]chan string{{Build: id, Task: "s0t1", Number: 1}: make(chan string, 1)}
	next.run()
	next.here()
	claimed := dispatch.Attempt{Build: id, Task: "s0t1", Number: 1}
	steps := []build.Step{{State: build.Succeeded}, {State: build.Succeeded}}
	if err := next.wire.End(t.Context(), dispatch.Result{Attempt: claimed, Verdict: dispatch.Succeeded, Steps: steps, Log: logOf("")}); err != nil {
		t.Fatalf("result of the claimed attempt = %v", err)
	}
	done := next.final()
	one, two := done.Stages[0].Tasks[0], done.Stages[0].Tasks[1]
	if done.State() != build.Succeeded || one.Attempt != 2 || two.Attempt != 1 {
		t.Errorf("build %s, attempts %d and %d; want succeeded, 2 and 1", done.State(), one.Attempt, two.Attempt)
	}
}

// A build that was canceled just before its architect died is stopped by the next
// one, although the builder goes on with it.
func TestOpenStopsWhatWasCanceled(t *testing.T) {
	stopped := make(chan string, 10)
	g := newRig(t, twoStages(), nil)
	id, err := g.ledger.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, moves := build.New(build.Request{ID: id, Stages: build.Outline(g.plan())}, g.now())
	moves = append(moves, b.Open(g.now())...)
	for _, m := range []build.Move{
		{Kind: build.Assign, Task: "s0t0", Builder: "b"},
		{Kind: build.Begin, Task: "s0t0", Attempt: 1, Builder: "b"},
		{Kind: build.Canceling, Reason: "canceled"},
	} {
		m.At = g.now()
		made, err := b.Do(m)
		if err != nil {
			t.Fatal(err)
		}
		moves = append(moves, made...)
	}
	recorded := make(chan error, 1)
	g.ledger.Append(build.Change{Build: b, Moves: moves, Plan: g.plan()}, func(err error) { recorded <- err })
	if err := <-recorded; err != nil {
		t.Fatal(err)
	}
	g.worker.running = map[dispatch.Attempt]chan string{{Build: id, Task: "s0t0", Number: 1}: stopped}
	g.run()
	g.here()
	g.a.Overdue()
	select {
	case why := <-stopped:
		if why != "canceled" {
			t.Errorf("the builder is told %q; want canceled", why)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the builder is told nothing")
	}
}

// untilBuilding waits until both tasks of the first stage are recorded as building.
func (g *rig) untilBuilding(id build.ID) {
	g.t.Helper()
	v, ok := g.a.Await(g.t.Context(), id)
	if !ok {
		g.t.Fatalf("build %s is not there", id)
	}
	defer v.Close()
	for {
		b, _, changed := v.State()
		if t := b.Stages[0].Tasks; t[0].State == build.Building && t[1].State == build.Building {
			return
		}
		<-changed
	}
}

// plan is twoStages, drawn.
func (g *rig) plan() *plan.Plan {
	p := &plan.Plan{Version: plan.Version, Name: "default", Event: plan.EventManual, Commit: head, Ref: "refs/heads/main", Stages: []plan.Stage{{Name: "one", Tasks: make([]plan.Task, 2)}, {Name: "two", Tasks: make([]plan.Task, 1)}}}
	for i, key := range []string{"s0t0", "s0t1", "s1t0"} {
		stage, index, _ := plan.ParseKey(key)
		p.Stages[stage].Tasks[index] = plan.Task{Key: key, Name: string(rune('a' + i)), Steps: []plan.Step{{Type: plan.StepRun, Run: &plan.Run{}}}}
	}
	return p
}

type viewer struct {
	text   strings.Builder
	states []build.State
}

func (v *viewer) Build(b *build.Build) error { v.states = append(v.states, b.State()); return nil }
func (v *viewer) Log(_ *build.Build, _ *build.Task, offset int64, data []byte) error {
	if int(offset) != v.text.Len() {
		return errors.New("gap in the log")
	}
	v.text.Write(data)
	return nil
}

// A follower sees the whole log and the end, however late it comes.
func TestFollow(t *testing.T) {
	text := strings.Repeat("0123456789\n", 50000)
	var g *rig
	g = newRig(t, files{".velocityci/blueprints/a.yml": "steps: [{type: run, command: x}]\n",
		".velocityci/pipelines/default.yml": "stages: [{name: s, blueprints: [a]}]\n"},
		func(a dispatch.Assignment, _ func() string) dispatch.Result {
			for have := int64(0); have < int64(len(text)); {
				end := min(have+100_000, int64(len(text)))
				have, _ = g.wire.Log(context.Background(), dispatch.Chunk{Attempt: a.Attempt, File: dispatch.TextFile, Offset: have, Data: []byte(text[have:end])})
			}
			return dispatch.Result{Verdict: dispatch.Succeeded, Log: logOf(text)}
		})
	g.tell(func(build.ID) {}) // the test says when
	g.run()
	g.submit(plan.Trigger{ID: "one", Event: plan.EventPush, Ref: "refs/heads/main", Commit: head})
	answer, _, err := g.a.Answered(t.Context(), g.site, "one")
	if err != nil {
		t.Fatal(err)
	}
	v, ok := g.a.Await(t.Context(), answer.Builds[0])
	if !ok {
		t.Fatal("no watch")
	}
	var seen viewer
	followed := make(chan error, 1)
	go func() { followed <- v.Follow(t.Context(), &seen) }()
	g.here()
	for {
		b, _, changed := v.State()
		if b.State().Final() {
			break
		}
		<-changed
	}
	g.a.Folded(answer.Builds[0])
	if err := <-followed; err != nil {
		t.Fatal(err)
	}
	if seen.text.String() != text || seen.states[len(seen.states)-1] != build.Succeeded {
		t.Errorf("saw %d bytes and %v; want %d bytes and an end", seen.text.Len(), seen.states, len(text))
	}
	v.Close()
}
