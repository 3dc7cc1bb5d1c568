// Package ledgertest is what every ledger must do, as tests: those of
// storage.Ledger and of its stand-in in memory run the same ones.
package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
)

// A Ledger is what the tests use of one.
type Ledger interface {
	Next(ctx context.Context) (build.ID, error)
	Append(c build.Change, done func(error))
	Accept(ctx context.Context, triggers []plan.Trigger) error
	Pending(ctx context.Context) ([]plan.Trigger, error)
	Live(ctx context.Context) ([]storage.Loaded, error)
	Tips(ctx context.Context) (tips map[string]plan.Commit, known bool, err error)
	Marks(ctx context.Context) ([]build.Mark, error)
	OfCommit(ctx context.Context, c plan.Commit) ([]storage.Known, error)
	Green(ctx context.Context, c plan.Commit, pipeline string) (bool, error)
	Reusable(ctx context.Context, keys []string) (map[string]build.Success, error)
	Build(ctx context.Context, id build.ID) (*build.Build, []build.Move, error)
	Plan(ctx context.Context, id build.ID) (*plan.Plan, error)
}

// A Make makes an empty ledger, to be ended with the test. folded is called as
// storage.Acquire says. commit is one that builds may be of.
type Make func(t *testing.T, folded func(build.ID)) (l Ledger, commit plan.Commit)

// Run runs all tests.
func Run(t *testing.T, open Make) {
	for name, test := range map[string]func(*testing.T, Make){
		"numbers are given out once":     numbers,
		"inbox keeps until settled":      inbox,
		"a build lives and ends":         life,
		"acknowledgements keep order":    order,
		"a gap in the moves is refused":  gap,
		"tips are set and forgotten":     tips,
		"append does not wait for done":  held,
		"what was read is not connected": apart,
		"successes are found by keys":    reuse,
		"marks replace those before":     marks,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

var start = time.Date(2026, 11, 22, 16, 5, 0, 0, time.UTC)

// Request is for a build of one stage with n tasks.
func Request(id build.ID, c plan.Commit, n int) build.Request {
	stage := build.StagePlan{Name: "test"}
	for i := range n {
		stage.Tasks = append(stage.Tasks, build.TaskPlan{
			Key: plan.Key(0, i), Name: fmt.Sprintf("task %d", i),
			Steps: []build.StepPlan{{Type: plan.StepSetup, Name: "setup"}},
		})
	}
	return build.Request{
		ID: id, Repository: "example", Kind: plan.OfPipeline, Name: "default",
		Trigger: plan.Trigger{ID: fmt.Sprintf("t%d", id.Number), Event: plan.EventPush, Ref: "refs/heads/main", Commit: c, Received: start},
		Stages:  []build.StagePlan{stage},
	}
}

// End makes the moves that let all tasks of b succeed.
func End(tb testing.TB, b *build.Build) []build.Move {
	tb.Helper()
	var made []build.Move
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			for _, on := range []build.Kind{build.Assign, build.Begin, build.Succeed} {
				moves, err := b.Do(build.Move{Kind: on, Task: plan.Key(i, j), Builder: "b1", At: start.Add(time.Duration(b.Seq) * time.Second)})
				if err != nil {
					tb.Fatal(err)
				}
				made = append(made, moves...)
			}
		}
	}
	return made
}

// Record appends a change and waits until it is durable.
func Record(tb testing.TB, l Ledger, c build.Change) {
	tb.Helper()
	if err := record(l, c); err != nil {
		tb.Fatalf("Append: %v", err)
	}
}

func record(l Ledger, c build.Change) error {
	done := make(chan error, 1)
	l.Append(c, func(err error) { done <- err })
	return <-done
}

// begin records a new build that is open.
func begin(t *testing.T, l Ledger, c plan.Commit, tasks int) (*build.Build, []build.Move) {
	t.Helper()
	id, err := l.Next(t.Context())
	if err != nil {
		t.Fatalf("Next: %v", err)
	}
	b, moves := build.New(Request(id, c, tasks), start)
	moves = append(moves, b.Open(start)...)
	p := &plan.Plan{Version: plan.Version, Kind: plan.OfPipeline, Name: "default", Commit: c, ConfigCommit: c, Stages: []plan.Stage{}}
	Record(t, l, build.Change{Build: b.Clone(), Moves: moves, Plan: p})
	return b, moves
}

func numbers(t *testing.T, open Make) {
	l, _ := open(t, nil)
	seen := map[build.ID]bool{}
	last := int64(0)
	for range 40 {
		id, err := l.Next(t.Context())
		if err != nil || seen[id] || id.Number <= last || !build.ValidStore(id.Store) {
			t.Fatalf("Next() = %v, %v after %d", id, err, last)
		}
		seen[id], last = true, id.Number
	}
}

func inbox(t *testing.T, open Make) {
	l, c := open(t, nil)
	trigger := func(id string) plan.Trigger {
		return plan.Trigger{ID: id, Event: plan.EventPush, Ref: "refs/heads/main", Commit: c, Received: start}
	}
	if got, err := l.Pending(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("Pending() of an empty inbox = %v, %v", got, err)
	}
	for _, batch := range [][]plan.Trigger{{trigger("t2"), trigger("t1")}, {trigger("t2"), trigger("t3")}, {}} {
		if err := l.Accept(t.Context(), batch); err != nil {
			t.Fatalf("Accept: %v", err)
		}
	}
	want := []plan.Trigger{trigger("t1"), trigger("t2"), trigger("t3")}
	if got, err := l.Pending(t.Context()); err != nil || !cmp.Equal(got, want) {
		t.Errorf("Pending() = %v, %v; want %v", got, err, want)
	}
	Record(t, l, build.Change{Settled: []string{"t1", "t3", "unknown", "t1"}})
	if got, err := l.Pending(t.Context()); err != nil || !cmp.Equal(got, want[1:2]) {
		t.Errorf("Pending() after settling = %v, %v; want %v", got, err, want[1:2])
	}
}

func life(t *testing.T, open Make) {
	folded := newSignal()
	l, c := open(t, folded.give)
	if _, _, err := l.Build(t.Context(), build.ID{Store: "nobody", Number: 1}); !errors.Is(err, storage.ErrNoBuild) {
		t.Errorf("Build of another store: %v; want ErrNoBuild", err)
	}
	b, moves := begin(t, l, c, 2)
	live, err := l.Live(t.Context())
	if err != nil || len(live) != 1 || live[0].Plan == nil || live[0].Plan.Commit != c {
		t.Fatalf("Live() = %+v, %v; want the build with its plan", live, err)
	}
	if diff := cmp.Diff(b, live[0].Build); diff != "" {
		t.Errorf("Live() differs (-want +got):\n%s", diff)
	}
	ended := End(t, b)
	moves = append(moves, ended...)
	Record(t, l, build.Change{Build: b.Clone(), Moves: ended})
	if got := <-folded; got != b.ID {
		t.Errorf("folded %s; want %s", got, b.ID)
	}
	got, gotMoves, err := l.Build(t.Context(), b.ID)
	if err != nil {
		t.Fatalf("Build: %v", err)
	}
	if diff := cmp.Diff(b, got); diff != "" {
		t.Errorf("Build differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(moves, gotMoves); diff != "" {
		t.Errorf("the moves differ (-want +got):\n%s", diff)
	}
	if live, err := l.Live(t.Context()); err != nil || len(live) != 0 {
		t.Errorf("Live() after the end = %v, %v; want none", live, err)
	}
	p, err := l.Plan(t.Context(), b.ID)
	if err != nil || !cmp.Equal(p, live[0].Plan) {
		t.Errorf("Plan() = %+v, %v; want %+v", p, err, live[0].Plan)
	}
	begin(t, l, c, 1)
	known, err := l.OfCommit(t.Context(), c)
	want := storage.Known{ID: b.ID, Name: "default", Trigger: b.Trigger, Config: b.Config, Void: b.Void()}
	if err != nil || len(known) != 2 || !cmp.Equal(known[0], want) {
		t.Errorf("OfCommit() = %v, %v; want the folded and the live build, first %v", known, err, want)
	}
	for pipeline, want := range map[string]bool{"default": b.State() == build.Succeeded, "other": false} {
		if green, err := l.Green(t.Context(), c, pipeline); err != nil || green != want {
			t.Errorf("Green(%s) = %v, %v; want %v", pipeline, green, err, want)
		}
	}
}

// signal passes ids on without holding up who gives them.
type signal chan build.ID

func newSignal() signal { return make(signal, 100) }

func (s signal) give(id build.ID) { s <- id }

func order(t *testing.T, open Make) {
	l, c := open(t, nil)
	b, _ := begin(t, l, c, 1)
	const n = 50
	got := make(chan int, n)
	for i := range n {
		moves, err := b.Do(build.Move{Kind: build.Notice, Reason: fmt.Sprint(i), At: start})
		if err != nil {
			t.Fatal(err)
		}
		l.Append(build.Change{Build: b.Clone(), Moves: moves}, func(err error) {
			if err != nil {
				t.Errorf("Append %d: %v", i, err)
			}
			got <- i
		})
	}
	l.Append(build.Change{}, func(error) { close(got) })
	var order []int
	for i := range got {
		order = append(order, i)
	}
	if len(order) != n || !slices.IsSorted(order) {
		t.Errorf("acknowledged in the order %v", order)
	}
}

func gap(t *testing.T, open Make) {
	for _, repeats := range []int{1, 2} { // twice the same makes up for the number, not for the move
		l, c := open(t, nil)
		b, _ := begin(t, l, c, 1)
		if _, err := b.Do(build.Move{Kind: build.Notice, Reason: "lost", At: start}); err != nil {
			t.Fatal(err)
		}
		moves, err := b.Do(build.Move{Kind: build.Notice, Reason: "told", At: start})
		if err != nil {
			t.Fatal(err)
		}
		if err := record(l, build.Change{Build: b.Clone(), Moves: slices.Repeat(moves, repeats)}); err == nil {
			t.Error("a change that leaves a move out was recorded")
		}
	}
}

func tips(t *testing.T, open Make) {
	l, c := open(t, nil)
	if tips, known, err := l.Tips(t.Context()); err != nil || known || len(tips) != 0 {
		t.Errorf("Tips() of a new ledger = %v, %t, %v; want unknown", tips, known, err)
	}
	Record(t, l, build.Change{Tips: map[string]plan.Commit{"refs/heads/main": c, "refs/heads/x": c}})
	Record(t, l, build.Change{Tips: map[string]plan.Commit{"refs/heads/x": ""}})
	want := map[string]plan.Commit{"refs/heads/main": c}
	if tips, known, err := l.Tips(t.Context()); err != nil || !known || !cmp.Equal(tips, want) {
		t.Errorf("Tips() = %v, %t, %v; want %v", tips, known, err, want)
	}
	Record(t, l, build.Change{Tips: map[string]plan.Commit{"refs/heads/main": ""}})
	if tips, known, err := l.Tips(t.Context()); err != nil || !known || len(tips) != 0 {
		t.Errorf("Tips() without a ref = %v, %t, %v; want none, but known", tips, known, err)
	}
}

// held shows that done never runs within Append: the caller may hold what done
// needs.
func held(t *testing.T, open Make) {
	l, _ := open(t, nil)
	held, done := newSignal(), newSignal()
	l.Append(build.Change{}, func(error) {
		<-held
		done <- build.ID{}
	})
	held <- build.ID{}
	<-done
}

func apart(t *testing.T, open Make) {
	l, c := open(t, nil)
	b, _ := begin(t, l, c, 1)
	live, err := l.Live(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := live[0].Build.Do(build.Move{Kind: build.Canceling, At: start}); err != nil {
		t.Fatal(err)
	}
	if again, _, err := l.Build(t.Context(), b.ID); err != nil || again.Canceled != "" {
		t.Errorf("a build that was read changed the ledger: %q, %v", again.Canceled, err)
	}
}

func marks(t *testing.T, open Make) {
	l, c := open(t, nil)
	if got, err := l.Marks(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("Marks() of a new ledger = %v, %v; want none", got, err)
	}
	nightly := build.Mark{Pipeline: "nightly", Cron: "30 4 * * *", Zone: "Europe/London", Until: start}
	weekly := build.Mark{Pipeline: "weekly", Cron: "@weekly", Until: start.Add(time.Hour)}
	for _, want := range [][]build.Mark{{nightly, weekly}, {weekly}, {}} {
		Record(t, l, build.Change{Marks: want, Tips: map[string]plan.Commit{"refs/heads/main": c}})
		Record(t, l, build.Change{Tips: map[string]plan.Commit{"refs/heads/x": c}})
		if got, err := l.Marks(t.Context()); err != nil || len(got) != len(want) || len(want) > 0 && !cmp.Equal(got, want) {
			t.Errorf("Marks() = %v, %v; want %v", got, err, want)
		}
	}
	if tips, _, err := l.Tips(t.Context()); err != nil || len(tips) != 2 {
		t.Errorf("Tips() beside marks = %v, %v; want two", tips, err)
	}
}
