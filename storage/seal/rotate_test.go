package seal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/storage/git"
	"github.com/velocity-ci/velocity/storage/seal"
)

// ring is the keys of a vault in memory. It dies as a process would: once die is 0 nothing
// is changed any more.
type ring struct {
	mu      sync.Mutex
	inUse   seal.Key
	offered *seal.Key
	die     int // at which call that changes something; negative for never
}

var errDied = errors.New("the process died")

func newRing() *ring { return &ring{inUse: seal.NewKey(), die: -1} }

func (r *ring) dies() bool {
	if r.die > 0 {
		r.die--
	}
	return r.die == 0
}

func (r *ring) Find(_, id string) (seal.Key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id == "" || r.inUse.ID() == id {
		return r.inUse, nil
	}
	if r.offered != nil && r.offered.ID() == id {
		return *r.offered, nil
	}
	return seal.Key{}, seal.ErrNoKey
}

func (r *ring) Offer(_ string, key seal.Key) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dies() {
		return errDied
	}
	r.offered = &key
	if r.dies() {
		return errDied
	}
	return nil
}

func (r *ring) Offered(string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.offered == nil {
		return "", nil
	}
	return r.offered.ID(), nil
}

func (r *ring) Settle(_, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dies() {
		return errDied
	}
	if r.offered != nil && r.offered.ID() == id {
		r.inUse = *r.offered
	}
	r.offered = nil
	return nil
}

func putAll(t testing.TB, v *seal.Vault, n int) []seal.Entry {
	t.Helper()
	var all []seal.Entry
	for i := range n {
		e, err := v.Put(t.Context(), seal.Entry{Name: fmt.Sprintf("key%d", i), Repository: []string{"", "shop"}[i%2], Refs: []string{"main"}, By: "ann"},
			seal.NewSecret([]byte(fmt.Sprintf("%s-%d", canary, i))))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// opens checks that all secrets have their values.
func opens(t *testing.T, v *seal.Vault, all []seal.Entry) {
	t.Helper()
	var want []string
	for i := range all {
		want = append(want, fmt.Sprintf("%s-%d", canary, i))
	}
	if got, err := give(t, v, all...); err != nil || !cmp.Equal(want, got) {
		t.Errorf("Give = %q, %v; want %q", got, err, want)
	}
}

// Secrets are sealed anew: with another key, and as they were.
func TestRotate(t *testing.T) {
	keys := newRing()
	v, repo := newVaultWith(t, keys)
	if n, err := v.Rotate(t.Context(), "ann"); n != 0 || err != nil {
		t.Errorf("Rotate of nothing = %d, %v", n, err)
	}
	all := putAll(t, v, 3)
	before, err := v.List()
	if err != nil {
		t.Fatal(err)
	}
	old := keys.inUse
	for range 2 {
		if n, err := v.Rotate(t.Context(), "ann\nx"); n != 3 || err != nil {
			t.Fatalf("Rotate = %d, %v; want 3", n, err)
		}
	}
	after, err := v.List()
	if diff := cmp.Diff(before, after); diff != "" || err != nil {
		t.Errorf("List after it (-before +after), %v:\n%s", err, diff)
	}
	opens(t, v, all)
	with := func(key seal.Key) *seal.Vault { return seal.Open(repo, fixed{key}, func() time.Time { return noon }) }
	if got, err := give(t, with(old), all...); !errors.Is(err, seal.ErrUnopened) {
		t.Errorf("with the earlier key, Give = %q, %v; want ErrUnopened", got, err)
	}
	opens(t, with(keys.inUse), all)
	if keys.offered != nil {
		t.Error("the offer was not settled")
	}
	if log := history(t, repo); strings.Count(log, "secrets: sealed with another key by ann x\n") != 2 {
		t.Errorf("the history is\n%s", log)
	}
	e, err := v.Put(t.Context(), seal.Entry{Name: "late"}, seal.NewSecret([]byte(canary)))
	if got, giveErr := give(t, with(keys.inUse), e); err != nil || giveErr != nil || got[0] != canary {
		t.Errorf("one that is set later: %q, %v, %v", got, err, giveErr)
	}
	for _, one := range append(all, e) {
		if err := v.Remove(t.Context(), one.Repository, one.Name, "ann"); err != nil {
			t.Fatal(err)
		}
	}
	keys.inUse = seal.NewKey() // the key is lost, and with no secrets left that is no harm
	if n, err := v.Rotate(t.Context(), "ann"); n != 0 || err != nil {
		t.Errorf("Rotate without secrets = %d, %v", n, err)
	}
	opens(t, v, putAll(t, v, 1))
}

// One that does not open, or a key that is gone, keeps all as it was.
func TestRotateRefuses(t *testing.T) {
	keys := newRing()
	v, repo := newVaultWith(t, keys)
	all := putAll(t, v, 2)
	foreign := seal.Open(repo, fixed{seal.NewKey()}, func() time.Time { return noon })
	if _, err := foreign.Put(t.Context(), seal.Entry{Name: "foreign", Repository: "shop"}, seal.NewSecret([]byte(canary))); err != nil {
		t.Fatal(err)
	}
	head := history(t, repo)
	_, err := v.Rotate(t.Context(), "ann")
	if !errors.Is(err, seal.ErrUnopened) || !strings.Contains(err.Error(), "secret foreign of shop") {
		t.Errorf("Rotate = %v; want ErrUnopened and the secret's name", err)
	}
	if keys.offered != nil || history(t, repo) != head {
		t.Errorf("something was changed: %v\n%s", keys.offered, history(t, repo))
	}
	opens(t, v, all)
	if err := v.Remove(t.Context(), "shop", "foreign", "ann"); err != nil {
		t.Fatal(err)
	}
	if n, err := v.Rotate(t.Context(), "ann"); n != 2 || err != nil {
		t.Fatalf("Rotate = %d, %v", n, err)
	}
	keys.inUse = seal.NewKey()
	if _, err := v.Rotate(t.Context(), "ann"); !errors.Is(err, seal.ErrNoKey) {
		t.Errorf("Rotate with the key gone = %v; want ErrNoKey", err)
	}
	if _, err := v.Put(t.Context(), seal.Entry{Name: "new"}, seal.NewSecret([]byte(canary))); !errors.Is(err, seal.ErrNoKey) {
		t.Errorf("Put with the key gone = %v; want ErrNoKey", err)
	}
}

// A process may die at any step of a rotation, and the next one, too: all secrets open,
// and one that lives completes what was begun.
func TestRotateDies(t *testing.T) {
	keys := newRing()
	v, _ := newVaultWith(t, keys)
	all := putAll(t, v, 2)
	const steps = 4 // those of a rotation that completes another; one that does not has three
	for first := 1; first < steps; first++ {
		for second := 1; second <= steps; second++ {
			for _, at := range []int{first, second} {
				keys.die = at
				_, err := v.Rotate(t.Context(), "ann")
				if died := keys.die == 0; died != errors.Is(err, errDied) {
					t.Fatalf("Rotate = %v; died: %t", err, died)
				}
				keys.die = -1
				opens(t, v, all)
			}
			if n, err := v.Rotate(t.Context(), "ann"); n != 2 || err != nil || keys.offered != nil {
				t.Fatalf("Rotate after deaths at %d and %d = %d, %v; offered: %v", first, second, n, err, keys.offered)
			}
			opens(t, v, all)
		}
	}
}

// Secrets are given and set while they are sealed anew, by others than those who do it.
func TestRotateBesideOthers(t *testing.T) {
	keys := newRing()
	v, repo := newVaultWith(t, keys)
	all := putAll(t, v, 2)
	const rounds = 4
	var others sync.WaitGroup
	others.Go(func() {
		for range rounds {
			if n, err := v.Rotate(context.Background(), "ann"); n < 2 || err != nil {
				t.Errorf("Rotate = %d, %v", n, err)
			}
		}
	})
	others.Go(func() {
		for range rounds {
			if n, err := seal.Open(repo, keys, func() time.Time { return noon }).Rotate(context.Background(), "bob"); n < 2 || err != nil {
				t.Errorf("Rotate = %d, %v", n, err)
			}
		}
	})
	others.Go(func() {
		for range rounds {
			opens(t, v, all)
		}
	})
	others.Go(func() {
		for i := range rounds {
			e, err := v.Put(context.Background(), seal.Entry{Name: "other"}, seal.NewSecret([]byte(canary)))
			if err != nil || e.Number != i+1 {
				t.Errorf("Put = %d, %v", e.Number, err)
			}
		}
	})
	others.Wait()
	opens(t, v, all)
	opens(t, seal.Open(repo, fixed{keys.inUse}, func() time.Time { return noon }), all)
}

// meanwhile is keys before which something happens once, after somebody read the newest
// commit and before they have its key.
type meanwhile struct {
	seal.Keys
	once sync.Once
	do   func()
}

func (m *meanwhile) Find(store, id string) (seal.Key, error) {
	m.once.Do(m.do)
	return m.Keys.Find(store, id)
}

// Whoever read a commit whose key was dropped before they had it reads the next one,
// whether it was the vault's first key or a later one.
func TestKeyDroppedMeanwhile(t *testing.T) {
	keys := newRing()
	v, repo := newVaultWith(t, keys)
	all := putAll(t, v, 2)
	for range 2 {
		late := seal.Open(repo, &meanwhile{Keys: keys, do: func() {
			if n, err := v.Rotate(t.Context(), "ann"); n != 2 || err != nil {
				t.Errorf("Rotate = %d, %v", n, err)
			}
		}}, func() time.Time { return noon })
		opens(t, late, all)
	}
}

// history is the subjects of all changes.
func history(t testing.TB, repo *git.Repository) string {
	t.Helper()
	return gitOutput(t, repo, "log", "--format=%s", seal.Ref)
}
