package builder

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/builder/host"
)

// victimState names the folder of a builder that this test binary shall be.
const victimState = "VELOCITY_TEST_BUILDER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimState); dir != "" {
		if err := victim(dir); err != nil {
			slog.Error("builder of the test", "err", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// victim is a builder in a process of its own that takes what the witness gives
// it, until it is killed.
func victim(dir string) error {
	conn, err := rpc.Dial("unix", filepath.Join(dir, "socket"))
	if err != nil {
		return err
	}
	b := &Builder{
		Name: "victim-" + filepath.Base(filepath.Dir(dir)), Boot: strconv.Itoa(os.Getpid()), Capacity: 4,
		Architect:  wire{conn},
		Workspaces: &folders{root: filepath.Join(dir, "work")},
		SpoolDir:   filepath.Join(dir, "spool"), Keep: time.Hour, Grace: time.Second,
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}
	b.Host = &host.Executor{Builder: b.Name, Base: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}}
	if err := b.Reap(context.Background()); err != nil {
		return err
	}
	go b.Run(context.Background())
	for {
		var a dispatch.Assignment
		if err := conn.Call("Witness.Next", b.Boot, &a); err != nil {
			return err
		}
		if err := b.Take(a); err != nil {
			return err
		}
	}
}

// A wire carries a victim's words to the witness.
type wire struct{ conn *rpc.Client }

func (w wire) call(name string, message any, reply any) error {
	err := w.conn.Call("Witness."+name, message, reply)
	if err != nil && err.Error() == dispatch.ErrStale.Error() {
		return dispatch.ErrStale
	}
	return err
}

func (w wire) Here(_ context.Context, p dispatch.Presence) error {
	return w.call("Here", p, new(struct{}))
}

func (w wire) Step(_ context.Context, p dispatch.Progress) error {
	return w.call("Step", p, new(struct{}))
}

func (w wire) Log(_ context.Context, c dispatch.Chunk) (have int64, err error) {
	err = w.call("Log", c, &have)
	return have, err
}

func (w wire) End(_ context.Context, r dispatch.Result) error {
	return w.call("End", r, new(struct{}))
}

// A Witness is an architect that gives attempts out and remembers what it hears.
// Its exported methods are called over net/rpc.
type Witness struct {
	mu        sync.Mutex
	changed   *sync.Cond
	next      int
	enough    bool // nothing more is given
	succeeded bool // an attempt has
	given     map[dispatch.Attempt]bool
	boot      string // of the process that was heard last
	texts     map[dispatch.Attempt][]byte
	ends      map[dispatch.Attempt][]dispatch.Result
	random    *rand.Rand
}

func newWitness(random *rand.Rand) *Witness {
	w := &Witness{
		given: map[dispatch.Attempt]bool{}, texts: map[dispatch.Attempt][]byte{},
		ends: map[dispatch.Attempt][]dispatch.Result{}, random: random,
	}
	w.changed = sync.NewCond(&w.mu)
	return w
}

// Next gives the next attempt to the process that was heard last, four at a time.
func (w *Witness) Next(boot string, a *dispatch.Assignment) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.boot != boot || w.enough || len(w.given) >= 4 {
		w.changed.Wait()
	}
	w.next++
	*a = dispatch.Assignment{
		Attempt: dispatch.Attempt{Build: build.ID{Store: "k3f9a2", Number: int64(w.next)}, Task: "s0t0", Number: 1},
		Task:    script(`i=0; while [ $i -lt 300 ]; do echo "line $i of attempt ` + strconv.Itoa(w.next) + `"; i=$((i+1)); done`),
	}
	w.given[a.Attempt] = true
	return nil
}

// Here interrupts what a builder that was restarted does not mention.
func (w *Witness) Here(p dispatch.Presence, _ *struct{}) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.Boot == w.boot {
		return nil
	}
	w.boot = p.Boot
	w.changed.Broadcast()
	mentioned := map[dispatch.Attempt]bool{}
	for _, a := range p.Running {
		mentioned[a] = true
	}
	for a := range w.given {
		if !mentioned[a] {
			w.settle(a, dispatch.Result{Attempt: a, Verdict: dispatch.Interrupted, Reason: "not mentioned"})
		}
	}
	return nil
}

// Step hears progress.
func (w *Witness) Step(p dispatch.Progress, _ *struct{}) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.current(p.Attempt)
}

// Log keeps a log, and forgets half of it now and then.
func (w *Witness) Log(c dispatch.Chunk, have *int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.current(c.Attempt); err != nil {
		return err
	}
	if c.File != dispatch.TextFile {
		*have = c.Offset + int64(len(c.Data))
		return nil
	}
	text := w.texts[c.Attempt]
	if c.Offset <= int64(len(text)) {
		text = append(text[:c.Offset], c.Data...)
	}
	if w.random.IntN(10) == 0 {
		text = text[:len(text)/2]
	}
	w.texts[c.Attempt] = text
	*have = int64(len(text))
	return nil
}

// End takes a result whose log is whole; now and then its answer is lost.
func (w *Witness) End(r dispatch.Result, _ *struct{}) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.current(r.Attempt); err != nil {
		return err
	}
	if r.Verdict != dispatch.Interrupted {
		sum := sha256.Sum256(w.texts[r.Attempt])
		if int64(len(w.texts[r.Attempt])) != r.Log.Bytes || hex.EncodeToString(sum[:]) != r.Log.SHA256 {
			return errors.New("the log is not whole")
		}
	}
	w.settle(r.Attempt, r)
	if w.random.IntN(5) == 0 {
		return errLost
	}
	return nil
}

func (w *Witness) current(a dispatch.Attempt) error {
	if w.given[a] {
		return nil
	}
	return dispatch.ErrStale
}

// settle takes the one result of an attempt. The caller holds w.mu.
func (w *Witness) settle(a dispatch.Attempt, r dispatch.Result) {
	delete(w.given, a)
	w.ends[a] = append(w.ends[a], r)
	w.succeeded = w.succeeded || r.Verdict == dispatch.Succeeded
	w.changed.Broadcast()
}

// more waits for n more results.
func (w *Witness) more(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for want := len(w.ends) + n; len(w.ends) < want; {
		w.changed.Wait()
	}
}

// rest gives nothing more once an attempt has succeeded, and waits for what was
// given.
func (w *Witness) rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.succeeded {
		w.changed.Wait()
	}
	w.enough = true
	for len(w.given) > 0 {
		w.changed.Wait()
	}
}

// The builder's process is killed again and again, at any moment. Every attempt
// it was given has one end, what ended well has its whole log, and in the end
// nothing is left on the disk.
func TestKilledBuilderLosesNothing(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := filepath.Join(t.TempDir(), "b")
	for _, sub := range []string{"work", "spool"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w := newWitness(rand.New(rand.NewPCG(seed, 1)))
	listener, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	server := rpc.NewServer()
	if err := server.Register(w); err != nil {
		t.Fatal(err)
	}
	go server.Accept(listener)

	kills := 20
	if testing.Short() {
		kills = 5
	}
	for range kills {
		stop := startVictim(t, dir)
		w.more(random.IntN(4))
		<-time.After(time.Duration(random.IntN(30)) * time.Millisecond) // the moment is what varies, nothing waits for it
		stop()
	}
	stop := startVictim(t, dir)
	w.rest()
	awaitEmpty(filepath.Join(dir, "spool"))
	stop()
	verdicts := map[dispatch.Verdict]int{}
	for a, all := range w.ends {
		verdicts[all[0].Verdict]++
		if len(all) != 1 {
			t.Errorf("attempt %s has %d results: %+v", a, len(all), all)
		}
		if all[0].Verdict == dispatch.Failed {
			t.Errorf("attempt %s failed: %s", a, all[0].Reason)
		}
	}
	if len(w.ends) != w.next {
		t.Errorf("%d attempts were given, %d have an end: %v", w.next, len(w.ends), verdicts)
	}
	t.Logf("%d attempts: %v", w.next, verdicts)
}

// awaitEmpty returns once nothing is in dir.
func awaitEmpty(dir string) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if left, err := os.ReadDir(dir); err == nil && len(left) == 0 {
			return
		}
	}
}

func startVictim(t *testing.T, dir string) (kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimState+"="+dir)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if said.Len() > 0 {
			t.Errorf("the builder said %s", said.String())
		}
	}
}
