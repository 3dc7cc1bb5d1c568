package dispatch_test

import (
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/architect/dispatch"
)

// A seed is read alone and as nk writes it; what is none is not repeated.
func TestUserKeys(t *testing.T) {
	k := newKeys(t)
	seed, curve := k.Seeds()
	for _, text := range []string{seed, seed + "\n", "# the architect\n" + seed + "\n" + k.Public() + "\n"} {
		got, err := dispatch.UserKeys(text)
		if err != nil || got.Public() != k.Public() {
			t.Errorf("UserKeys = %v; want %s", err, k.Public())
		}
	}
	for _, text := range []string{"", k.Public(), curve, newSigner(t).Seed(), seed[:20]} {
		if _, err := dispatch.UserKeys(text); err == nil || strings.Contains(err.Error(), "SU") {
			t.Errorf("UserKeys of what is no seed: %v", err)
		}
	}
}
