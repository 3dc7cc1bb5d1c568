package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/socket"
	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
)

// A ranch is a service without a builder that runs until the test ends, with the
// mirrors of some hosted repositories.
type ranch struct {
	t       *testing.T
	s       *service
	mirrors *mirrors
}

func newRanch(t *testing.T) *ranch {
	t.Helper()
	c := &cli{
		Streams: Streams{Out: io.Discard, Err: io.Discard}, now: time.Now,
		env: map[string]string{"HOME": t.TempDir()},
	}
	here := newHosted(t, 1, "here")
	o := serviceOptions{paths: []string{here.dir}, who: holderServe, wait: true, attempts: architect.DefaultAttempts, log: silent()}
	s, err := c.newService(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended, running := make(chan error, 1), make(chan struct{})
	go func() {
		ended <- s.run(ctx, func(ctx context.Context) error { close(running); <-ctx.Done(); return nil })
	}()
	<-running
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, s.close()); err != nil {
			t.Errorf("the service ended with %v", err)
		}
	})
	return &ranch{t, s, testMirrors(t, time.Now)}
}

// admit fetches a repository and has it served.
func (r *ranch) admit(h *hosted) *served {
	r.t.Helper()
	repo, err := r.mirrors.of(h.as.Key).Refresh(r.t.Context(), h.as, forge.Credential{}, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	house, err := r.s.admit(r.t.Context(), h.as, repo)
	if err != nil {
		r.t.Fatal(err)
	}
	return house
}

func (r *ranch) dismiss(h *hosted) {
	r.t.Helper()
	if err := r.s.dismiss(r.t.Context(), h.as.Key); err != nil {
		r.t.Fatal(err)
	}
}

// ask makes a build of the hosted repository's newest commit.
func (r *ranch) ask(h *hosted, house *served, id string) build.ID {
	r.t.Helper()
	trigger := plan.Trigger{ID: id, Event: plan.EventPush, Ref: "refs/heads/main", Commit: plan.Commit(h.git("rev-parse", "HEAD")), Received: time.Now()}
	if err := house.ledger.Accept(r.t.Context(), []plan.Trigger{trigger}); err != nil {
		r.t.Fatal(err)
	}
	house.site.Wake()
	answer, ok, err := r.s.architect.Answered(r.t.Context(), house.site, id)
	if err != nil || !ok || len(answer.Builds) != 1 {
		r.t.Fatalf("trigger %s: %+v, %v, %v", id, answer, ok, err)
	}
	return answer.Builds[0]
}

// A repository of a forge is served and left while the service runs: its lock, its
// socket, its site. A build that waits stays, and is gone on with.
func TestHousesComeAndGo(t *testing.T) {
	r := newRanch(t)
	h := newHosted(t, 7, "owner/name")
	house := r.admit(h)
	if again := r.admit(h); again != house {
		t.Error("it is served twice")
	}
	dir := filepath.Join(house.repo.CommonDir(), "velocity")
	if conn, err := socket.Dial(t.Context(), dir); err != nil {
		t.Errorf("its socket is not answered: %v", err)
	} else {
		conn.Close()
	}
	if hidden, err := house.repo.Unprotected(t.Context()); err != nil || len(hidden) > 0 {
		t.Errorf("not protected: %v, %v", hidden, err)
	}
	id := r.ask(h, house, "t1")
	var held *storage.HeldError
	if _, err := r.s.c.openStore(house.repo).Acquire(t.Context(), "test", nil); !errors.As(err, &held) {
		t.Errorf("while it is served, Acquire = %v", err)
	}
	r.dismiss(h)
	r.dismiss(h) // is all right
	if _, err := socket.Dial(t.Context(), dir); err == nil {
		t.Error("its socket is answered after it went")
	}
	ledger, err := r.s.c.openStore(house.repo).Acquire(t.Context(), "test", nil)
	if err != nil {
		t.Fatalf("its lock was not given back: %v", err)
	}
	live, err := ledger.Live(t.Context())
	if err != nil || len(live) != 1 || live[0].Build.ID != id || live[0].Build.State().Final() {
		t.Errorf("unfinished after it went: %+v, %v; want build %s", live, err, id)
	}
	if err := ledger.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.s.houses.of(h.as.Key) != nil || len(r.s.houses.list()) != 1 {
		t.Error("it is still among the houses, or another one is not")
	}
	h.as.Name = "owner/other"
	house = r.admit(h)
	if err := r.s.architect.Cancel(t.Context(), id, "canceled"); err != nil {
		t.Errorf("the build is not gone on with: %v", err)
	}
	if got := house.site.Called(); got != "owner/other" {
		t.Errorf("it is called %q", got)
	}
}

// What the forge calls a repository is what it is called here. A name that has
// moved on to another one is that one's.
func TestHousesAreRenamed(t *testing.T) {
	r := newRanch(t)
	one, two := newHosted(t, 7, "owner/one"), newHosted(t, 8, "owner/two")
	first, second := r.admit(one), r.admit(two)
	two.as.Name = "owner/one"
	r.admit(two)
	if first.site.Called() != "github-7" || second.site.Called() != "owner/one" {
		t.Errorf("they are called %q and %q", first.site.Called(), second.site.Called())
	}
	one.as.Name = "owner/two"
	r.admit(one)
	if first.site.Called() != "owner/two" || second.site.Called() != "owner/one" {
		t.Errorf("they are called %q and %q", first.site.Called(), second.site.Called())
	}
}

// Repositories come and go all at once, with builds, and nothing is lost of any.
func TestHousesUnderLoad(t *testing.T) {
	r := newRanch(t)
	const rounds = 4
	var work sync.WaitGroup
	for n := range int64(4) {
		h := newHosted(t, n+10, fmt.Sprint("owner/", n))
		work.Go(func() {
			for i := range rounds {
				house := r.admit(h)
				r.ask(h, house, fmt.Sprint("t", i))
				h.commit(fmt.Sprint("change ", i), nil)
				r.dismiss(h)
			}
			house := r.admit(h)
			live, err := house.ledger.Live(t.Context())
			if err != nil || len(live) != rounds {
				t.Errorf("%s has %d unfinished builds, %v; want %d", h.as.Name, len(live), err, rounds)
			}
		})
	}
	work.Wait()
}
