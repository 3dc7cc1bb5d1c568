package delivery

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

	"github.com/velocity-ci/velocity/storage/git"
)

// childFrom makes the test binary take deliveries in and work them off, from this
// number on, instead of running tests. Its argument is the repository.
const childFrom = "VELOCITY_TEST_DELIVERIES_FROM"

func TestMain(m *testing.M) {
	if from := os.Getenv(childFrom); from != "" {
		if err := workForEver(os.Args[1], from); err != nil {
			fmt.Println("error", err)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// workForEver says "accepted KEY" and "done KEY" when it was told so.
func workForEver(dir, text string) error {
	var from int
	if _, err := fmt.Sscan(text, &from); err != nil {
		return err
	}
	repo, err := git.Open(context.Background(), dir)
	if err != nil {
		return err
	}
	b := Open(repo, time.Now)
	go b.Run(context.Background())
	var group sync.WaitGroup
	errs := make(chan error, 5)
	for first := range 4 {
		group.Go(func() { errs <- takeIn(b, from+first, 4) })
	}
	group.Go(func() { errs <- workOff(b) })
	return <-errs
}

func takeIn(b *Inbox, from, step int) error {
	for n := from; ; n += step {
		d := Delivery{Forge: "github", Key: key(n), Event: "push", Body: fmt.Append(nil, n), Received: time.Now()}
		if err := b.Accept(context.Background(), d); err != nil {
			return err
		}
		fmt.Println("accepted", d.Key)
	}
}

func workOff(b *Inbox) error {
	ctx := context.Background()
	for {
		keys, err := b.Waiting(ctx)
		if err != nil {
			return err
		}
		for _, key := range keys[:min(len(keys), 3)] {
			more, err := b.Begin(ctx, key)
			if err != nil {
				return fmt.Errorf("begin %s: %w", key, err)
			}
			if !more {
				continue // it was under way whenever children died: it is put away
			}
			if err := b.Done(ctx, key, "nothing", ""); err != nil {
				return err
			}
			fmt.Println("done", key)
		}
	}
}

// A told is what children were told before they died.
type told struct{ accepted, done map[string]bool }

func (a *told) hear(t *testing.T, line string) {
	word, key, _ := strings.Cut(line, " ")
	switch {
	case word == "accepted":
		a.accepted[key] = true
	case word == "done" && !a.done[key]:
		a.done[key] = true
	default:
		t.Errorf("a child said: %s", line)
	}
}

func (a *told) runAndKill(t *testing.T, dir string, from int) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], dir)
	child.Env = append(os.Environ(), fmt.Sprint(childFrom, "=", from), "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	child.Stderr = os.Stderr
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
		a.hear(t, scanner.Text())
		if n == lines { // a little later, in the midst of whatever it does then
			time.AfterFunc(rand.N(8*time.Millisecond), func() { _ = child.Process.Kill() })
		}
	}
	_ = child.Wait() // killed
}

// check holds the repository to what children were told.
func (a *told) check(t *testing.T, b *Inbox) {
	t.Helper()
	keys, err := b.Waiting(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	states, ends := map[string]State{}, map[string]int{}
	all, err := b.List(t.Context(), 1<<20, func(Entry) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.State != Waiting {
			ends[e.Key]++
		}
		states[e.Key] = e.State
	}
	for _, key := range keys {
		if a.done[key] || states[key] != Waiting {
			t.Errorf("%s waits; it is %s", key, states[key])
		}
	}
	for key := range a.accepted {
		d, err := b.Read(t.Context(), key)
		if err != nil || len(d.Body) == 0 {
			t.Errorf("%s was accepted and is gone: %v", key, err)
		}
		if a.done[key] && states[key] != Done || ends[key] > 1 {
			t.Errorf("%s is %s, and ended %d times; done %v was told", key, states[key], ends[key], a.done[key])
		}
	}
}

func TestNothingAcceptedIsLostByKills(t *testing.T) {
	kills := 8
	if testing.Short() {
		kills = 3
	}
	r := newRig(t)
	a := &told{accepted: map[string]bool{}, done: map[string]bool{}}
	for n := range kills {
		a.runAndKill(t, r.dir, (n+1)*1_000_000)
		if err := r.again(t).Recover(); err != nil {
			t.Fatal(err)
		}
		a.check(t, r.again(t))
		if t.Failed() {
			return
		}
	}
	t.Logf("%d kills, %d accepted, %d done", kills, len(a.accepted), len(a.done))
}
