package storage_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
)

// acked is everything that children said before they died.
type acked struct {
	mu       sync.Mutex
	said     map[string]bool // lines, none of which may come twice
	seqs     map[string]int  // the last move, by build
	folded   map[string]bool
	triggers map[string]bool
	errors   []string
}

func newAcked() *acked {
	return &acked{said: map[string]bool{}, seqs: map[string]int{}, folded: map[string]bool{}, triggers: map[string]bool{}}
}

// hear takes in a line of a child.
func (a *acked) hear(t *testing.T, line string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	word, rest, _ := strings.Cut(line, " ")
	if a.said[line] && (word == "number" || word == "trigger" || word == "durable") {
		t.Errorf("acknowledged twice: %s", line)
	}
	a.said[line] = true
	var id string
	var seq int
	switch word {
	case "number", "delivery":
	case "trigger":
		a.triggers[rest] = true
	case "folded":
		a.folded[rest] = true
	case "durable":
		if _, err := fmt.Sscan(rest, &id, &seq); err != nil {
			t.Errorf("child said %q: %v", line, err)
		}
		a.seqs[id] = max(a.seqs[id], seq)
	default: // an error, whose second line has no such word
		a.errors = append(a.errors, line)
	}
}

// hearAll listens until the child is dead, and calls each after every line.
func (a *acked) hearAll(t *testing.T, out io.Reader, each func(n int)) {
	scanner := bufio.NewScanner(out)
	for n := 0; scanner.Scan(); n++ {
		a.hear(t, scanner.Text())
		each(n)
	}
}

// runAndKill lets a child work until it said some lines, and kills it a little
// later, in the midst of whatever it does then.
func (a *acked) runAndKill(t *testing.T, dir string, commits []plan.Commit) {
	t.Helper()
	child := childOf(t, "recorder", dir, commits)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := 1 + rand.IntN(40)
	a.hearAll(t, out, func(n int) {
		if n == lines {
			time.AfterFunc(rand.N(8*time.Millisecond), func() { _ = child.Process.Kill() })
		}
	})
	_ = child.Wait() // killed
	if len(a.errors) > 0 {
		t.Errorf("a child gave up: %s", a.errors)
	}
}

// recovered is what is in dir once a ledger has cleaned up; it is released.
// clock is how people would know what is old.
func recovered(t *testing.T, dir string, clock func() time.Time) *storage.Ledger {
	t.Helper()
	fsck(t, dir)
	return cleanedUp(t, dir, clock)
}

// cleanedUp is recovered for a repository of which git may miss something before.
func cleanedUp(t *testing.T, dir string, clock func() time.Time) *storage.Ledger {
	t.Helper()
	l, release := acquireAt(t, dir, clock)
	release() // folds what is final
	for _, found := range l.Found() {
		if !strings.HasPrefix(found, "removed ") {
			t.Errorf("after a death: %s", found)
		}
	}
	fsck(t, dir)
	return l
}

// check holds the repository to what was acknowledged, and goes on from there. It
// returns the finished builds that have no line in the notes.
func (a *acked) check(t *testing.T, dir string, l *storage.Ledger) (unnoted []string) {
	t.Helper()
	notes, _ := try(dir, "grep", "-h", "velocity/1", storage.NotesRef, "--") // fails if there is none
	built, waiting := map[string]bool{}, map[string]bool{}
	pending, err := l.Pending(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pending {
		waiting[p.ID] = true
	}
	builds, err := l.Builds(t.Context(), storage.Query{Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	stored := map[string]int{}
	for _, b := range builds {
		if seq := a.seqs[b.ID.String()]; b.Seq < seq {
			t.Errorf("build %s is at move %d; %d was acknowledged", b.ID, b.Seq, seq)
		}
		if built[b.Trigger.ID] {
			t.Errorf("trigger %s was built twice", b.Trigger.ID)
		}
		built[b.Trigger.ID] = true
		stored[b.ID.String()] = b.Seq
		line := fmt.Sprintf("%s-%010d ", b.ID.Store, b.ID.Number)
		switch n := strings.Count(notes, line); {
		case n > 1, n == 1 && !b.State().Final():
			t.Errorf("build %s, %s, has %d notes", b.ID, b.State(), n)
		case n == 0 && b.State().Final():
			unnoted = append(unnoted, line)
		}
		if _, moves, err := l.Build(t.Context(), b.ID); err != nil || len(moves) != b.Seq {
			t.Errorf("build %s has %d moves; want %d: %v", b.ID, len(moves), b.Seq, err)
		}
		if a.folded[b.ID.String()] && !b.State().Final() {
			t.Errorf("build %s was folded and is %s", b.ID, b.State())
		}
	}
	for id := range a.seqs {
		if stored[id] == 0 {
			t.Errorf("build %s was acknowledged and is gone", id)
		}
	}
	for id := range a.triggers {
		if !built[id] && !waiting[id] { // both, if a death came between the moves of two refs
			t.Errorf("trigger %s was accepted and is gone", id)
		}
	}
	a.seqs = stored
	return unnoted
}

func TestNothingAcknowledgedIsLostByKills(t *testing.T) {
	kills := 30
	if testing.Short() {
		kills = 5
	}
	dir, commits := newRepo(t, 1)
	recorded(t, dir, commits[0])
	a := newAcked()
	for range kills {
		a.runAndKill(t, dir, commits)
		if unnoted := a.check(t, dir, recovered(t, dir, time.Now)); len(unnoted) > 0 {
			t.Errorf("finished builds have no note: %s", unnoted)
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d kills, %d builds, %d triggers", kills, len(a.seqs), len(a.triggers))
}
