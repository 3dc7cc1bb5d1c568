package web_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/storage/roster"
	"github.com/velocity-ci/velocity/storage/seal"
)

// keys are the keys of a vault that one goroutine changes.
type keys struct {
	first, next seal.Key
	offered     bool
}

func (k *keys) Find(_, id string) (seal.Key, error) {
	if id == "" || id == k.first.ID() {
		return k.first, nil
	}
	return seal.Key{}, fmt.Errorf("%w: it is gone", seal.ErrNoKey)
}

func (k *keys) Offer(_ string, key seal.Key) error { k.next, k.offered = key, true; return nil }

func (k *keys) Offered(string) (string, error) {
	if !k.offered {
		return "", nil
	}
	return k.next.ID(), nil
}

func (k *keys) Settle(_, id string) error {
	if k.offered && k.next.ID() == id {
		k.first = k.next
	}
	k.offered = false
	return nil
}

// Secrets are sealed anew by whoever keeps the server, and a key that is gone is told.
func TestRotateSecrets(t *testing.T) {
	r := newRig(t)
	ring := &keys{first: seal.NewKey()}
	r.front.Secrets = seal.Open(r.repo, ring, r.now)
	admin, _ := r.token(roster.Admin)
	if status, body := r.ask(http.MethodPost, api.PathRotate, admin, "{}"); status != http.StatusOK || body != "{\"secrets\":0}\n" {
		t.Errorf("without secrets: %d %s", status, body)
	}
	for _, name := range []string{"one", "two"} {
		if _, status := post[api.Secret](r, api.PathSecrets, admin, api.SetSecret{Secret: api.Secret{Name: name}, Value: []byte("canary-value")}); status != http.StatusCreated {
			t.Fatalf("set: %d", status)
		}
	}
	before := ring.first.ID()
	if status, body := r.ask(http.MethodPost, api.PathRotate, admin, "{}"); status != http.StatusOK || body != "{\"secrets\":2}\n" || ring.first.ID() == before {
		t.Errorf("rotate: %d %s", status, body)
	}
	ring.first = seal.NewKey()
	if status, body := r.ask(http.MethodPost, api.PathRotate, admin, "{}"); status != http.StatusConflict || body == "" {
		t.Errorf("with the key gone: %d %s; want a conflict", status, body)
	}
}
