package app

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
)

// A doorman gives out credentials, and takes them back when it is let.
type doorman struct {
	keyring
	let   chan struct{}
	given atomic.Int64
}

func (d *doorman) Credential(context.Context, forge.Repository) (forge.Credential, error) {
	d.given.Add(1)
	return forge.NewCredential("", "", func(ctx context.Context) error {
		select {
		case <-d.let:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		d.given.Add(-1)
		return nil
	}), nil
}

// Nobody waits until a credential is given back but the end of the server, and that
// waits for all of them.
func TestCredentialsAreGivenBack(t *testing.T) {
	h := newHosted(t, 7, "owner/name")
	d := &doorman{let: make(chan struct{})}
	e := estate{s: &service{log: silent()}, mirrors: testMirrors(t, time.Now), keys: func(forge.Kind) keyring { return d }}
	for range 2 {
		if _, err := e.fetch(t.Context(), h.as, nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := d.given.Load(); n != 2 {
		t.Errorf("%d credentials are out; want 2, for nobody has waited", n)
	}
	close(d.let)
	e.mirrors.close()
	if n := d.given.Load(); n != 0 {
		t.Errorf("%d credentials are out after the end; want none", n)
	}
	if _, err := e.fetch(t.Context(), h.as, nil); err == nil || d.given.Load() != 0 {
		t.Errorf("after the end: %v, and %d credentials are out; want an error and none", err, d.given.Load())
	}
}
