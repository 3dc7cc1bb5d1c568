package storage_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage"
	"github.com/velocity-ci/velocity/storage/ledgertest"
)

// childRepo tells the test binary to be the writer that gets killed.
const childRepo = "VELOCITY_TEST_CHILD_REPO"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childRepo); dir != "" {
		if err := recordForEver(dir); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// recordForEver goes on with what is live, then begins and ends builds, and says
// what was acknowledged: "trigger ID", "durable ID SEQ" and "folded ID".
func recordForEver(dir string) error {
	say := newSayer()
	s, err := openQuietly(dir)
	if err != nil {
		return err
	}
	l, err := s.Acquire(context.Background(), "child", func(id build.ID) { say("folded", id) })
	if err != nil {
		return err
	}
	live, err := l.Live(context.Background())
	if err != nil {
		return err
	}
	commit := plan.Commit(os.Getenv(childRepo + "_COMMIT"))
	var group sync.WaitGroup
	for i := range 3 {
		group.Go(func() {
			for j := i; j < len(live); j += 3 {
				drive(l, say, live[j].Build)
			}
			for {
				if err := one(l, say, commit); err != nil {
					say("error", err)
					return
				}
			}
		})
	}
	group.Wait()
	return nil
}

func newSayer() func(args ...any) {
	var mu sync.Mutex
	return func(args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(args...)
	}
}

// one accepts a trigger, begins a build for it and ends that.
func one(l *storage.Ledger, say func(...any), commit plan.Commit) error {
	trigger := plan.Trigger{ID: storage.NewTriggerID(time.Now(), rand.Uint64()), Event: plan.EventPush, Commit: commit, Received: start}
	if err := l.Accept(context.Background(), []plan.Trigger{trigger}); err != nil {
		return err
	}
	say("trigger", trigger.ID)
	id, err := l.Next(context.Background())
	if err != nil {
		return err
	}
	req := ledgertest.Request(id, commit, 2)
	req.Trigger = trigger
	b, moves := build.New(req, start)
	moves = append(moves, b.Open(start)...)
	if err := keep(l, say, build.Change{Build: b.Clone(), Moves: moves, Settled: []string{trigger.ID}}); err != nil {
		return err
	}
	drive(l, say, b)
	return nil
}

// drive ends a build, a change for every move.
func drive(l *storage.Ledger, say func(...any), b *build.Build) {
	for i := range b.Stages[0].Tasks {
		for _, on := range []build.Kind{build.Assign, build.Begin, build.Succeed} {
			moves, err := b.Do(build.Move{Kind: on, Task: plan.Key(0, i), At: start})
			if err != nil || len(moves) == 0 {
				continue // done before the last death
			}
			if err := keep(l, say, build.Change{Build: b.Clone(), Moves: moves}); err != nil {
				say("error", err)
				return
			}
		}
	}
}

func keep(l *storage.Ledger, say func(...any), c build.Change) error {
	done := make(chan error, 1)
	l.Append(c, func(err error) { done <- err })
	if err := <-done; err != nil {
		return err
	}
	say("durable", c.Build.ID, c.Build.Seq)
	return nil
}

// acked is everything that children said before they died.
type acked struct {
	seqs     map[string]int // by build
	folded   map[string]bool
	triggers map[string]bool
}

func (a *acked) hear(t *testing.T, line string) {
	var id string
	var seq int
	switch word, rest, _ := strings.Cut(line, " "); word {
	case "trigger":
		a.triggers[rest] = true
	case "folded":
		a.folded[rest] = true
	case "durable":
		if _, err := fmt.Sscan(rest, &id, &seq); err != nil {
			t.Fatalf("child said %q: %v", line, err)
		}
		if seq <= a.seqs[id] {
			t.Errorf("build %s is at move %d after it was at %d", id, seq, a.seqs[id])
		}
		a.seqs[id] = seq
	default:
		t.Fatalf("child said %q", line)
	}
}

// runAndKill lets a child work until it said some lines, and kills it a little
// later, in the midst of whatever it does then.
func (a *acked) runAndKill(t *testing.T, dir string, commit plan.Commit) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childRepo+"="+dir, childRepo+"_COMMIT="+string(commit))
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := 1 + rand.IntN(40)
	scanner := bufio.NewScanner(out)
	for n := 0; scanner.Scan(); n++ {
		if n == lines {
			time.AfterFunc(rand.N(8*time.Millisecond), func() { _ = child.Process.Kill() })
		}
		a.hear(t, scanner.Text())
	}
	_ = child.Wait() // killed
}

// check holds the repository to what was acknowledged.
func (a *acked) check(t *testing.T, dir string) {
	t.Helper()
	fsck(t, dir)
	l, release := acquireIn(t, dir, nil)
	release() // folds what is final
	for _, found := range l.Found() {
		if !strings.HasPrefix(found, "removed ") {
			t.Errorf("after a kill: %s", found)
		}
	}
	notes := cli(t, dir, "grep", "-h", "velocity/1", storage.NotesRef, "--")
	handled := map[string]bool{}
	pending, err := l.Pending(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pending {
		handled[p.ID] = true
	}
	builds, err := l.Builds(t.Context(), storage.Query{Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range builds {
		if seq := a.seqs[b.ID.String()]; b.Seq < seq {
			t.Errorf("build %s is at move %d; %d was acknowledged", b.ID, b.Seq, seq)
		}
		if handled[b.Trigger.ID] {
			t.Errorf("trigger %s is in two places", b.Trigger.ID)
		}
		handled[b.Trigger.ID] = true
		delete(a.seqs, b.ID.String())
		n := strings.Count(notes, fmt.Sprintf("%s-%010d ", b.ID.Store, b.ID.Number))
		if want := map[bool]int{true: 1}[b.State().Final()]; n != want {
			t.Errorf("build %s, %s, has %d notes; want %d", b.ID, b.State(), n, want)
		}
		if _, moves, err := l.Build(t.Context(), b.ID); err != nil || len(moves) != b.Seq {
			t.Errorf("build %s has %d moves; want %d: %v", b.ID, len(moves), b.Seq, err)
		}
		if a.folded[b.ID.String()] && !b.State().Final() {
			t.Errorf("build %s was folded and is %s", b.ID, b.State())
		}
	}
	for id := range a.seqs {
		t.Errorf("build %s was acknowledged and is gone", id)
	}
	for id := range a.triggers {
		if !handled[id] {
			t.Errorf("trigger %s was accepted and is gone", id)
		}
	}
	for _, b := range builds {
		a.seqs[b.ID.String()] = b.Seq
	}
}

func TestNothingAcknowledgedIsLostByKills(t *testing.T) {
	kills := 30
	if testing.Short() {
		kills = 5
	}
	dir, commits := newRepo(t, 1)
	recorded(t, dir, commits[0])
	a := &acked{seqs: map[string]int{}, folded: map[string]bool{}, triggers: map[string]bool{}}
	for range kills {
		a.runAndKill(t, dir, commits[0])
		a.check(t, dir)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d kills, %d builds, %d triggers", kills, len(a.seqs), len(a.triggers))
}
