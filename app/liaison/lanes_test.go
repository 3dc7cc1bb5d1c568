package liaison

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/hooks"
)

var errDown = errors.New("502 Bad Gateway")

// down has the forge fail from now on; nil has it work again.
func (r *rig) down(err error) {
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
	r.hub.fails = func(context.Context) error { return err }
}

// What breaks us, cannot be understood or cannot be read stops nothing behind it, of
// its repository or of others.
func TestPoison(t *testing.T) {
	bubble(t, func(r *rig) {
		r.house().poison(true)
		r.push(main, 2)
		breaks := r.tell(hooks.Event{Kind: hooks.BranchPushed, Ref: main, Commit: sha(2)})
		r.inbox.accept(hooks.Delivery{Forge: "github", Key: "github-unreadable", Event: "unreadable"})
		garbled := "github-garbled"
		r.inbox.accept(hooks.Delivery{Forge: "github", Key: garbled, Body: []byte("{")})
		bad := r.tell(hooks.Event{Kind: hooks.BranchPushed, Ref: main, Note: "breaks the decoder"})
		r.house().poison(false)
		good := r.tell(hooks.Event{Kind: hooks.BranchPushed, Ref: main, Commit: sha(2)})
		for key, want := range map[string]string{
			breaks: "failed: internal error: a poisoned object", bad: "failed: internal error: breaks the decoder",
			garbled: "failed: unexpected end of JSON input", good: "build: ", "github-unreadable": "",
		} {
			if got := r.inbox.fate(key); got != want {
				t.Errorf("%s became %q; want %q", key, got, want)
			}
		}
	})
}

// A repository that breaks a comparison does not keep others from being compared, and
// the server goes on.
func TestPoisonedComparison(t *testing.T) {
	bubble(t, func(r *rig) {
		r.opens(nil)
		r.house().poison(true)
		r.hub.repo(8, "octo/moon").refs[main] = sha(5)
		r.tell(hooks.Event{Kind: hooks.AccessGained})
		r.hub.change(8, func(m *model) { m.refs[main] = sha(6) })
		pass(2 * r.Every)
		synctest.Wait()
		if diff := cmp.Diff([]string{"found refs/heads/main 6"}, r.houses.all[8].said()); diff != "" {
			t.Errorf("octo/moon was told (-want +got):\n%s", diff)
		}
	})
}

// While one repository's deliveries wait, in their order, those of others do not.
// Only what is tried counts as tried.
func TestLanes(t *testing.T) {
	bubble(t, func(r *rig) {
		r.hub.repo(8, "octo/moon").refs[main] = sha(5)
		r.tell(hooks.Event{Kind: hooks.AccessGained})
		r.opens(nil)
		r.hub.change(world, func(m *model) { m.lagging = true })
		first := r.tell(hooks.Event{Kind: hooks.PullOpened, Pull: 5})
		var then []string
		for n := range 3 {
			ref := fmt.Sprintf("refs/tags/v%d", n)
			r.push(ref, 30+n)
			then = append(then, r.tell(hooks.Event{Kind: hooks.TagPushed, Ref: ref}))
		}
		other := r.send(hooks.Event{Kind: hooks.BranchPushed, Repository: 8, Ref: main, Sender: octo})
		synctest.Wait()
		if got := r.inbox.fate(other); got != "build: " {
			t.Errorf("a push elsewhere became %q", got)
		}
		for _, key := range then {
			if n := r.inbox.tried(key); n != 0 {
				t.Errorf("%s counts as tried %d times while it waits", key, n)
			}
		}
		pass(3 * lookEvery)
		synctest.Wait()
		r.mu.Lock()
		if n := len(r.lanes[forge.Key{Kind: forge.GitHub, ID: world}]); n != len(then) {
			t.Errorf("%d deliveries are behind the first; want %d", n, len(then))
		}
		r.mu.Unlock()
		r.hub.change(world, func(m *model) { m.lagging = false })
		pass(longPause)
		synctest.Wait()
		want := []string{
			"accept pull_request refs/pull/5/head b refs/heads/main refs/heads/topic writer octo",
			"accept push refs/tags/v0 1e octo", "accept push refs/tags/v1 1f octo", "accept push refs/tags/v2 20 octo",
		}
		if diff := cmp.Diff(want, r.house().said()); diff != "" {
			t.Errorf("the house was told (-want +got):\n%s", diff)
		}
		if n := r.inbox.tried(first); n < 2 {
			t.Errorf("the first was tried %d times; want more", n)
		}
	})
}

// For how long a delivery is tried.
func TestPatience(t *testing.T) {
	for name, c := range map[string]struct {
		err   error // of the forge; nil if its git lags
		least time.Duration
		most  time.Duration
	}{
		"the forge is down":       {errDown, 24 * time.Hour, 24*time.Hour + 2*longPause},
		"a permission is missing": {forge.ErrForbidden, 0, 0},
		"it will never do it":     {forge.ErrInvalid, 0, 0},
		"git lags":                {nil, 10 * time.Minute, 10*time.Minute + 2*longPause},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.opens(nil)
				r.hub.change(world, func(m *model) { m.lagging = true })
				if c.err != nil {
					r.down(c.err)
				}
				key := r.tell(hooks.Event{Kind: hooks.PullOpened, Pull: 5})
				pass(c.least)
				if c.least > 0 && r.inbox.fate(key) != "" {
					t.Errorf("before %s it became %q", c.least, r.inbox.fate(key))
				}
				pass(c.most - c.least)
				synctest.Wait()
				if got := r.inbox.fate(key); !strings.HasPrefix(got, "failed: ") {
					t.Errorf("after %s it became %q; want it put away", c.most, got)
				}
			})
		})
	}
}

// When a forge takes no more requests, none is sent until it says so.
func TestLimit(t *testing.T) {
	bubble(t, func(r *rig) {
		until := time.Now().Add(r.Every - time.Minute) // comparisons ask, too
		var early atomic.Int64
		r.hub.mu.Lock()
		r.hub.fails = func(context.Context) error {
			if time.Now().Before(until) {
				early.Add(1)
				return &forge.LimitError{Until: until, Err: errDown}
			}
			return nil
		}
		r.hub.mu.Unlock()
		r.push(main, 2)
		key := r.tell(hooks.Event{Kind: hooks.BranchPushed, Ref: main, Commit: sha(2)})
		pass(time.Until(until) + time.Second)
		synctest.Wait()
		if got := r.inbox.fate(key); got != "build: " || early.Load() != 1 {
			t.Errorf("after the limit it became %q, having asked %d times before; want it built, and one", got, early.Load())
		}
	})
}

// A death between what is done and its record has it done again: then it is the same
// build, also of a button.
func TestOneRequest(t *testing.T) {
	bubble(t, func(r *rig) {
		r.asked("failed")
		r.inbox.mu.Lock()
		lost := false // the first end is not recorded
		r.inbox.fails = func() error {
			if n := len(r.inbox.order); r.inbox.begun[r.inbox.order[n-1]] && !lost && n == 2 {
				lost = true
				return errDown
			}
			return nil
		}
		r.inbox.mu.Unlock()
		r.tell(press(hooks.AskRerun))
		r.house().finish(2, "failed")
		pass(2 * lookEvery)
		synctest.Wait()
		if diff := cmp.Diff([]string{"rerun k3f9a2-1 failed=false by octo (github 1)"}, r.house().said()); diff != "" || !lost {
			t.Errorf("the house was told (-want +got), lost: %v:\n%s", lost, diff)
		}
		if got := r.inbox.fate("github-0002"); got != "do: " {
			t.Errorf("it became %q", got)
		}
	})
}

// A pull request is closed while a comparison is about to build it.
func TestComparisonAndDelivery(t *testing.T) {
	bubble(t, func(r *rig) {
		r.opens(nil)
		r.hub.mu.Lock()
		r.hub.fails = func(context.Context) error { pass(10 * time.Second); return nil }
		r.hub.mu.Unlock()
		pass(r.Every + r.Every/20 + 25*time.Second) // the list of pull requests is there
		r.hub.change(world, func(m *model) { m.pulls[5].Open = false })
		r.tell(hooks.Event{Kind: hooks.PullClosed, Pull: 5})
		pass(2 * time.Minute)
		synctest.Wait()
		if all := r.house().all; len(all) != 1 || all[0].Canceled != build.ReasonClosed {
			t.Errorf("builds: %+v; want one that ended when it was closed", all)
		}
	})
}

// The turn of a repository is one's at a time, and nobody waits beyond their context.
func TestTurn(t *testing.T) {
	l := New()
	here, there := forge.Key{Kind: forge.GitHub, ID: 1}, forge.Key{Kind: forge.GitHub, ID: 2}
	done, err := l.turn(t.Context(), here)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.turn(ctx, here); !errors.Is(err, context.Canceled) {
		t.Errorf("a second turn = %v; want %v", err, context.Canceled)
	}
	other, err := l.turn(t.Context(), there)
	if err != nil {
		t.Fatal(err)
	}
	other()
	done()
	if done, err = l.turn(t.Context(), here); err != nil {
		t.Fatal(err)
	}
	done()
}

func TestKeyOf(t *testing.T) {
	k, ok := forge.ParseKey("github-1296269")
	if want := (forge.Key{Kind: forge.GitHub, ID: 1296269}); !ok || k != want {
		t.Errorf("keyOf = %v, %v; want %v", k, ok, want)
	}
	for _, bad := range []string{"", "github", "github-", "github-1x", "github-01", "github--"} {
		if k, ok := forge.ParseKey(bad); ok {
			t.Errorf("forge.ParseKey(%q) = %v; want none", bad, k)
		}
	}
}
