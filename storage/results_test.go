package storage_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Results are notes, archives and logs of stores in place, and nothing of how the
// ledger works.
func TestResults(t *testing.T) {
	dir, commits := newRepo(t, 2)
	if got, err := openStore(t, dir).Results(); err != nil || !cmp.Equal(got, []string{"refs/notes/velocity"}) {
		t.Errorf("without a store: %q, %v", got, err)
	}
	recorded(t, dir, commits[0])
	l, release := acquireIn(t, dir, nil)
	defer release()
	begin(t, l, commits[1], 1)
	own := "refs/velocity/" + storeOf(t, l) + "/"
	for _, ref := range []string{
		own + "desk", own + "quarantine/x", own + "archive/x", "refs/velocity/remotes/hub/aaaaaa/archive/0000",
		"refs/velocity/secrets", "refs/velocity/zzzzzz/logs/00000",
	} {
		cli(t, dir, "update-ref", ref, "HEAD")
	}
	want := []string{"refs/notes/velocity", own + "archive", own + "logs", "refs/velocity/zzzzzz/logs"}
	if got, err := openStore(t, dir).Results(); err != nil || !cmp.Equal(got, want) {
		t.Errorf("Results = %q, %v; want %q", got, err, want)
	}
}
