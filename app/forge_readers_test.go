package app

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
)

// A yes is believed for a minute, a no for a few seconds, and a failure is neither.
func TestReaders(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	r := newReaders(func() time.Time { return now })
	asked, says, fails := 0, true, error(nil)
	may := func(id int64, token string) (bool, error) {
		return r.may(t.Context(), forge.Key{Kind: forge.GitHub, ID: id}, token, func() (bool, error) { asked++; return says, fails })
	}
	step := func(what string, after time.Duration, id int64, token string, want bool, wantAsked int) {
		t.Helper()
		now = now.Add(after)
		if got, err := may(id, token); got != want || err != nil || asked != wantAsked {
			t.Errorf("%s: %v, %v, asked %d times; want %v, %d", what, got, err, asked, want, wantAsked)
		}
	}
	step("the first time", 0, 1, "a", true, 1)
	says = false
	step("a moment later", believedFor-1, 1, "a", true, 1)
	step("of another repository", 0, 2, "a", false, 2)
	step("with another token", 0, 1, "b", false, 3)
	step("after a minute", 1, 1, "a", false, 4)
	says = true
	step("a no, a moment later", doubtedFor-1, 1, "a", false, 4)
	step("a no, later", 1, 1, "a", true, 5)
	now = now.Add(believedFor)
	fails = errors.New("no answer")
	if _, err := may(1, "a"); err == nil {
		t.Error("no answer is taken for a yes")
	}
	fails, says = nil, false
	step("after a failure", 0, 1, "a", false, 7)
}

// Tokens are not kept, nor answers without end.
func TestReadersForget(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	r := newReaders(func() time.Time { return now })
	yes := func() (bool, error) { return true, nil }
	for i := range maxReaders + 10 {
		if _, err := r.may(t.Context(), forge.Key{}, fmt.Sprint("token-", i), yes); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.known) > maxReaders {
		t.Errorf("%d answers are kept", len(r.known))
	}
	for id := range r.known {
		if strings.Contains(id, "token") {
			t.Errorf("a token is kept: %q", id)
		}
	}
}
