package app

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/velocity-ci/velocity/storage/seal"
)

// newVaultKeys is the keys of a vault in a folder that is not there yet.
func newVaultKeys(t *testing.T, shared bool) (vaultKeys, string) {
	folder := filepath.Join(t.TempDir(), "keys")
	return vaultKeys{shared: shared, path: func() (string, error) { return filepath.Join(folder, secretsKey), nil }}, folder
}

// has checks which files there are, and that they are for their user alone.
func has(t *testing.T, folder string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
		if info, err := e.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s has the mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the folder has %q; want %q", got, want)
	}
}

// find checks that the keys of a vault has a key, or with the zero key that it has not.
func find(t *testing.T, k vaultKeys, id string, want bool) {
	t.Helper()
	key, err := k.Find("STORE", id)
	if want && (err != nil || key.ID() != id) || !want && !errors.Is(err, seal.ErrNoKey) {
		t.Errorf("Find(%s) = %s, %v; want it: %t", id, key, err, want)
	}
}

// A key that is offered is there beside the one in use, and takes its place or goes.
func TestVaultKeys(t *testing.T) {
	for _, shared := range []bool{false, true} {
		k, folder := newVaultKeys(t, shared)
		first, err := k.Find("STORE", "")
		if err != nil {
			t.Fatal(err)
		}
		has(t, folder, "secrets.key")
		files, news := []string{"secrets.key"}, []string{"secrets-new.key", "secrets.key"}
		if shared {
			files = []string{"secrets-59f795c13b943b3f.key", "secrets.key"}
			news = []string{"secrets-59f795c13b943b3f-new.key", "secrets.key"}
		}
		dropped, second := seal.NewKey(), seal.NewKey()
		for _, key := range []seal.Key{dropped, second} {
			if err := k.Offer("STORE", key); err != nil {
				t.Fatal(err)
			}
			if id, err := k.Offered("STORE"); id != key.ID() || err != nil {
				t.Errorf("Offered = %q, %v", id, err)
			}
			has(t, folder, news...)
			find(t, k, key.ID(), true)
			find(t, k, first.ID(), !shared) // a shared one is found by no id
		}
		find(t, k, dropped.ID(), false)
		settle := func(id string) {
			t.Helper()
			if err := k.Settle("STORE", id); err != nil {
				t.Fatal(err)
			}
			if left, err := k.Offered("STORE"); left != "" || err != nil {
				t.Errorf("Offered after it was settled = %q, %v", left, err)
			}
		}
		settle(second.ID())
		has(t, folder, files...)
		find(t, k, second.ID(), true)
		find(t, k, first.ID(), false)
		if err := k.Offer("STORE", seal.NewKey()); err != nil {
			t.Fatal(err)
		}
		settle(second.ID())
		settle(second.ID()) // with no offer there is nothing to do
		has(t, folder, files...)
		find(t, k, second.ID(), true)
		if again, err := k.Find("STORE", ""); err != nil || (again.ID() == first.ID()) != shared {
			t.Errorf("the first key is %s, %v; want that it stays for others: %t", again.ID(), err, shared)
		}
	}
}

// What a store is called leads to no other folder.
func TestVaultKeysOfHostileStore(t *testing.T) {
	k, folder := newVaultKeys(t, true)
	for _, store := range []string{"../../x", "/x", "a\x00b", "", "secrets"} {
		key := seal.NewKey()
		if err := errors.Join(k.Offer(store, key), k.Settle(store, key.ID())); err != nil {
			t.Errorf("store %q: %v", store, err)
		}
		if _, err := k.Find(store, "../"+key.ID()); !errors.Is(err, seal.ErrNoKey) {
			t.Errorf("store %q: Find = %v", store, err)
		}
	}
	if all, err := filepath.Glob(filepath.Join(folder, "secrets-????????????????.key")); err != nil || len(all) != 5 {
		t.Errorf("keys are %q, %v", all, err)
	}
}

// A key is found while it takes its place.
func TestVaultKeysWhileSettled(t *testing.T) {
	k, _ := newVaultKeys(t, false)
	for range 50 {
		key := seal.NewKey()
		if err := k.Offer("STORE", key); err != nil {
			t.Fatal(err)
		}
		var settled sync.WaitGroup
		settled.Go(func() {
			if err := k.Settle("STORE", key.ID()); err != nil {
				t.Error(err)
			}
		})
		for range 20 {
			find(t, k, key.ID(), true)
		}
		settled.Wait()
	}
}
