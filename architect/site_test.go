package architect_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/memory"
	"github.com/velocity-ci/velocity/storage/running"
)

var oneTask = files{
	".velocityci/blueprints/a.yml":      "steps: [{type: run, command: x}]",
	".velocityci/pipelines/default.yml": "stages: [{name: s, blueprints: [a]}]",
}

// again is the rig's repository as the next site: another one over the same ledger.
func (g *rig) again() *architect.Site {
	return &architect.Site{
		Name: g.site.Name, Source: g.site.Source, Ledger: g.ledger, Inbox: g.ledger,
		History: history{g.ledger}, Repo: g.repo, Logs: g.site.Logs,
	}
}

// A site that comes while the architect runs is built, and one that leaves is not
// any more, while others go on.
func TestSitesComeAndGo(t *testing.T) {
	g := newRig(t, oneTask, succeed)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	if err := g.a.Open(t.Context(), g.other(t)); err != nil {
		t.Fatal(err)
	}
	go func() { ended <- g.a.Run(ctx) }()
	g.here()
	if err := g.a.Open(t.Context(), g.site); err != nil {
		t.Fatal(err)
	}
	g.site.Look()
	if b := g.final(); b.State() != build.Succeeded {
		t.Errorf("the build is %s", b.State())
	}
	for range 2 { // again is all right
		if err := g.a.Close(t.Context(), g.site); err != nil {
			t.Fatal(err)
		}
	}
	g.site.Look()
	if !g.a.Idle() {
		t.Error("a site that left is waited for")
	}
	p := &plan.Plan{Name: "a", Commit: head}
	if _, err := g.a.Submit(t.Context(), g.site, p, plan.Trigger{ID: "x", Event: plan.EventManual, Commit: head}, nil); !errors.Is(err, architect.ErrClosed) {
		t.Errorf("Submit to a closed site = %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run = %v", err)
	}
}

// other is one more site with a repository of its own.
func (g *rig) other(t *testing.T) *architect.Site {
	t.Helper()
	ledger := memory.New(g.a.Folded)
	t.Cleanup(ledger.Release)
	logs, err := running.New(filepath.Join(t.TempDir(), "running"))
	if err != nil {
		t.Fatal(err)
	}
	return &architect.Site{
		Name: "other", Source: "/other", Ledger: ledger, Inbox: ledger, History: history{ledger}, Logs: logs,
		Repo: &repository{
			commits: map[plan.Commit]files{head: oneTask},
			tips:    map[string]plan.Commit{"refs/heads/main": head}, head: "refs/heads/main",
		},
	}
}

// A build that runs when its site is closed is not touched: its follower is sent
// away, the builder's word comes to nothing, and the next site over the same ledger
// goes on with the attempt that the builder still has.
func TestBuildsSurviveClose(t *testing.T) {
	begun, finish := make(chan dispatch.Attempt, 10), make(chan struct{})
	g := newRig(t, oneTask, func(a dispatch.Assignment, _ func() string) dispatch.Result {
		begun <- a.Attempt
		<-finish
		return dispatch.Result{Verdict: dispatch.Succeeded}
	})
	g.run()
	g.here()
	g.site.Look()
	at := <-begun
	v, ok := g.a.Await(t.Context(), at.Build)
	if !ok {
		t.Fatal("there is no build to follow")
	}
	defer v.Close()
	followed := make(chan error, 1)
	go func() { followed <- v.Follow(t.Context(), nobody{}) }()
	if err := g.a.Close(t.Context(), g.site); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-followed:
		if !errors.Is(err, architect.ErrClosed) {
			t.Errorf("Follow = %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the follower waits for ever")
	}
	if _, ok := g.a.Watch(at.Build); ok || len(g.a.Unfinished()) > 0 {
		t.Error("the build is still in the architect's hands")
	}
	if err := g.a.Cancel(t.Context(), at.Build, "x"); !errors.Is(err, architect.ErrNoBuild) {
		t.Errorf("Cancel = %v", err)
	}
	next := g.again()
	if err := g.a.Open(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	g.here() // it says that it runs the attempt
	close(finish)
	b := g.final()
	if b.ID != at.Build || b.State() != build.Succeeded {
		t.Errorf("build %s is %s", b.ID, b.State())
	}
	if task, _ := b.Task(at.Task); task.Attempt != at.Number {
		t.Errorf("it took attempt %d; want %d to be gone on with", task.Attempt, at.Number)
	}
}

// nobody is a viewer that sees nothing.
type nobody struct{}

func (nobody) Build(*build.Build) error                           { return nil }
func (nobody) Log(*build.Build, *build.Task, int64, []byte) error { return nil }

// store is a ledger with a name of its own in the ids of its builds.
type store struct {
	*memory.Ledger
	name string
}

func (s *store) Next(ctx context.Context) (build.ID, error) {
	id, err := s.Ledger.Next(ctx)
	id.Store = s.name
	return id, err
}

// Sites come and go while another is built without end; nothing is lost of any.
func TestSitesUnderLoad(t *testing.T) {
	g := newRig(t, oneTask, succeed)
	g.run()
	g.here()
	const rounds, others = 10, 4
	var all sync.WaitGroup
	for n := range others {
		all.Go(func() {
			site := g.other(t)
			site.Name = fmt.Sprint("other-", n)
			ledger := &store{Ledger: site.Ledger.(*memory.Ledger), name: site.Name}
			for i := range rounds {
				next := &architect.Site{
					Name: site.Name, Source: site.Source, Ledger: ledger, Inbox: ledger,
					History: history{ledger.Ledger}, Repo: site.Repo, Logs: site.Logs,
				}
				if err := g.a.Open(t.Context(), next); err != nil {
					t.Error(err)
					return
				}
				trigger := plan.Trigger{ID: fmt.Sprint("t", i), Event: plan.EventManual, Ref: "refs/heads/main", Commit: head, Request: fmt.Sprint("r", i)}
				if err := ledger.Accept(t.Context(), []plan.Trigger{trigger}); err != nil {
					t.Error(err)
				}
				next.Wake()
				next.Rename(fmt.Sprint("renamed-", n, "-", i))
				if i%2 == 0 { // else it is closed wherever it is
					if _, _, err := g.a.Answered(t.Context(), next, trigger.ID); err != nil {
						t.Error(err)
					}
				}
				if err := g.a.Close(t.Context(), next); err != nil {
					t.Error(err)
				}
			}
			last := &architect.Site{
				Name: site.Name, Source: site.Source, Ledger: ledger, Inbox: ledger,
				History: history{ledger.Ledger}, Repo: site.Repo, Logs: site.Logs,
			}
			if err := g.a.Open(t.Context(), last); err != nil {
				t.Error(err)
			}
			last.Wake()
		})
	}
	all.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- g.a.WaitIdle(ctx) }()
	beat := time.NewTicker(10 * time.Millisecond) // what nobody got to send is found out by its signs of life
	defer beat.Stop()
	seen := map[build.ID]bool{}
	see := func(b *build.Build) {
		seen[b.ID] = true
		if b.State() != build.Succeeded {
			t.Errorf("build %s of %s is %s", b.ID, b.Repository, b.State())
		}
	}
	for {
		select {
		case <-beat.C:
			g.here()
		case b := <-g.closed:
			see(b)
		case err := <-ended:
			if err != nil {
				t.Fatalf("%v; unfinished: %d", err, len(g.a.Unfinished()))
			}
			for len(seen) < others*rounds { // it is told of just after nothing is left
				see(g.final())
			}
			for len(g.closed) > 0 {
				see(<-g.closed)
			}
			if len(seen) != others*rounds {
				t.Errorf("%d builds ended; want one for each of %d triggers", len(seen), others*rounds)
			}
			return
		}
	}
}

// After a rename new builds go by the new name, for people. Builders fetch from where
// they did, whoever is called so now: a name is no leave.
func TestRename(t *testing.T) {
	admitted := make(chan [3]bool, 1)
	var g *rig
	g = newRig(t, oneTask, func(a dispatch.Assignment, _ func() string) dispatch.Result {
		admitted <- [3]bool{g.a.Admits("github-7", a.Credential), g.a.Admits("new/name", a.Credential), g.a.Admits("repo", a.Credential)}
		if a.Repository != "github-7" {
			t.Errorf("the builder is sent to %q", a.Repository)
		}
		if want := (dispatch.Submodules{Origin: "https://example.com/new/name"}); !cmp.Equal(want, a.Submodules) {
			t.Errorf("submodules may come from %+v; want %+v", a.Submodules, want)
		}
		return dispatch.Result{Verdict: dispatch.Succeeded}
	})
	g.a.Seal = []byte("seal")
	g.site.Key = "github-7"
	g.run()
	g.site.Rename("new/name")
	g.a.Resupply(g.site, dispatch.Submodules{Origin: "https://example.com/new/name"})
	g.here()
	g.site.Look()
	if b := g.final(); b.Repository != "new/name" || g.site.Called() != "new/name" {
		t.Errorf("the build is of %q, the site called %q", b.Repository, g.site.Called())
	}
	if got := <-admitted; got != [3]bool{true, false, false} {
		t.Errorf("admitted under the identity, the new and the old name: %v", got)
	}
}
