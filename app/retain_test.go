package app

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/git"
	"github.com/velocity-ci/velocity/storage/ledgertest"
)

// A server drops logs at once and whenever its timer says so.
func TestServerRetains(t *testing.T) {
	h, finish := servedAlone(t)
	ids := []build.ID{finish(), finish()}
	s := &service{log: silent()}
	s.houses.add(h)
	ctx, stop := context.WithCancel(t.Context())
	again, over := make(chan time.Time), make(chan struct{})
	go func() {
		s.retain(ctx, storage.Retention{Logs: storage.Bound{Count: 1}}, again)
		close(over)
	}()
	has := func(id build.ID) bool {
		_, _, err := h.ledger.Log(t.Context(), id, "s0t0", 1)
		if err != nil && !errors.Is(err, storage.ErrNoLog) {
			t.Error(err)
		}
		return err == nil
	}
	again <- time.Time{} // is taken when the first round is over
	if has(ids[0]) {
		t.Error("the first round left a log that is beyond the bound")
	}
	ids = append(ids, finish())
	again <- time.Time{} // begins a round that sees all three
	again <- time.Time{}
	if has(ids[1]) || !has(ids[2]) {
		t.Errorf("logs after a round: %s %t, %s %t", ids[1], has(ids[1]), ids[2], has(ids[2]))
	}
	stop()
	<-over
}

// servedAlone is a repository whose ledger is held, and what records a finished
// build in it.
func servedAlone(t *testing.T) (h *served, finish func() build.ID) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "repo.git")
	if out, err := exec.Command("git", "init", "-q", "--bare", dir).CombinedOutput(); err != nil {
		t.Fatalf("git init: %v\n%s", err, out)
	}
	repo, err := git.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	folded := make(chan build.ID, 1)
	ledger, err := storage.Open(repo, time.Now).Acquire(t.Context(), "test", func(id build.ID) { folded <- id })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ledger.Release(context.Background()); err != nil {
			t.Error(err)
		}
	})
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, []byte("said\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &served{repo: repo, ledger: ledger, site: &architect.Site{Name: "repo"}}, func() build.ID {
		id, err := ledger.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b, moves := build.New(ledgertest.Request(id, plan.Commit(strings.Repeat("1", 40)), 1), time.Now())
		moves = append(moves, b.Open(time.Now())...)
		moves = append(moves, ledgertest.End(t, b)...)
		ledgertest.Record(t, ledger, build.Change{Build: b, Moves: moves, Logs: []build.LogFile{{Task: "s0t0", Attempt: 1, Text: log}}})
		return <-folded
	}
}
