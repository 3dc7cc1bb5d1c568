package liaison

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/hooks"
)

// fetches is how often the mirror of octo/world was fetched.
func (r *rig) fetches() int {
	h := r.house()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.fetched
}

// pushTo is a push to main of octo/world.
func pushTo(n int) hooks.Event {
	return hooks.Event{Kind: hooks.BranchPushed, Repository: world, App: ours, Ref: main, Commit: sha(n), Sender: octo}
}

// What a push needs is fetched before its delivery is recorded, once, and nothing is
// done about it until it is.
func TestForesight(t *testing.T) {
	bubble(t, func(r *rig) {
		before := r.fetches()
		r.push(main, 2)
		d := r.delivery(pushTo(2))
		r.Foresee(d)
		synctest.Wait()
		if n, said := r.fetches()-before, r.house().said(); n != 1 || len(said) > 0 {
			t.Errorf("before it is recorded, %d fetches and %q; want one fetch", n, said)
		}
		r.inbox.accept(d)
		r.Wake()
		synctest.Wait()
		if diff := cmp.Diff([]string{"accept push refs/heads/main 2 octo"}, r.house().said()); diff != "" {
			t.Errorf("the house was told (-want +got):\n%s", diff)
		}
		if n := r.fetches() - before; n != 1 {
			t.Errorf("%d fetches; want one", n)
		}
	})
}

// Nothing is fetched ahead for what needs no fetch, or one at another time.
func TestUnforeseen(t *testing.T) {
	bubble(t, func(r *rig) {
		r.hub.repo(8, "octo/moon").refs[main] = sha(5)
		before := r.fetches()
		elsewhere, renamed, gone := pushTo(2), pushTo(2), pushTo(0)
		elsewhere.Repository, renamed.Name, gone.Kind = 8, "octo/earth", hooks.RefDeleted
		skipped := pushTo(2)
		skipped.Skip = true
		for _, e := range []hooks.Event{elsewhere, renamed, gone, skipped, {Kind: hooks.SuiteAsked, Repository: world, App: ours, Commit: sha(2)}} {
			d := r.delivery(e)
			r.Foresee(d)
			synctest.Wait()
			r.Forget(d.Key)
		}
		if n := r.fetches() - before; n != 0 || r.houses.all[8] != nil {
			t.Errorf("%d fetches, and octo/moon is %v; want none, and that it is not served", n, r.houses.all[8])
		}
	})
}

// Of two pushes to a branch that are worked off together, what the first needs is
// fetched when both were sent.
func TestForesightIsOld(t *testing.T) {
	bubble(t, func(r *rig) {
		done, err := r.turn(context.Background(), forge.Key{Kind: forge.GitHub, ID: world})
		if err != nil {
			t.Fatal(err)
		}
		r.push(main, 2)
		r.tell(pushTo(2))
		r.push(main, 3)
		r.inbox.accept(r.delivery(pushTo(3)))
		r.Wake()
		synctest.Wait()
		done()
		synctest.Wait()
		want := []string{"accept push refs/heads/main 3 octo", "accept push refs/heads/main 3 octo"}
		if diff := cmp.Diff(want, r.house().said()); diff != "" {
			t.Errorf("the house was told (-want +got):\n%s", diff)
		}
	})
}

// What is on its way is bounded, and goes when it is worked off or not recorded.
func TestForesightIsBounded(t *testing.T) {
	l := New()
	for n := range 3 * abreast {
		l.Foresee(hooks.Delivery{Key: fmt.Sprint(n)})
		if n%2 == 0 && n < abreast { // some have been begun, and count until they are worked off
			<-l.ahead
		}
	}
	if n := len(l.coming); n != abreast {
		t.Errorf("%d are on their way; want %d", n, abreast)
	}
	l.Forget("0")
	l.release("1")
	if n := len(l.coming); n != abreast-2 {
		t.Errorf("%d are on their way; want %d", n, abreast-2)
	}
}
