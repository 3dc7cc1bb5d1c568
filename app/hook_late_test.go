package app

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/term"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/ledgertest"
)

// A build may be over, and its server gone, before the hook can follow it: who
// pushed sees its outcome all the same.
func TestHookShowsWhatEndedBefore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "repo.git")
	commit := plan.Commit(strings.Repeat("12", 20))
	if out, err := exec.Command("git", "init", "-q", "--bare", dir).CombinedOutput(); err != nil {
		t.Fatalf("git init: %v\n%s", err, out)
	}
	c := &cli{Streams: Streams{Out: os.Stdout, Err: os.Stderr}, env: map[string]string{}, now: time.Now}
	repo, err := openRepository(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	store := c.openStore(repo)
	folded := make(chan build.ID, 1)
	l, err := store.Acquire(t.Context(), "test", func(id build.ID) { folded <- id })
	if err != nil {
		t.Fatal(err)
	}
	id, err := l.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, moves := build.New(ledgertest.Request(id, commit, 1), time.Now())
	moves = append(moves, b.Open(time.Now())...)
	ledgertest.Record(t, l, build.Change{Build: b.Clone(), Moves: moves})
	if known, err := store.OfCommit(t.Context(), commit); err != nil || len(known) != 1 {
		t.Fatalf("OfCommit = %v, %v", known, err)
	}
	ledgertest.Record(t, l, build.Change{Moves: ledgertest.End(t, b), Build: b.Clone()})
	<-folded
	if err := l.Release(context.Background()); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c.Err = &out
	display := term.New(term.Options{Out: &out, Now: time.Now, NoColour: true})
	f := newFollower(display)
	f.answer = &api.Answer{Note: "nothing is known of it"}
	h := &pushed{c: c, repo: repo, store: store}
	h.outcome(t.Context(), b.Trigger, f)
	display.Close()
	for _, want := range []string{id.String() + " default: succeeded 1/1", "recorded as " + id.String()} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the pusher does not see %q:\n%s", want, out.String())
		}
	}
}
