package liaison

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/require"
	"github.com/velocity-ci/velocity/hooks"
	"github.com/velocity-ci/velocity/storage/project"
)

const (
	ours  = 42 // the number of our App
	world = 7  // of the repository octo/world
	main  = "refs/heads/main"
	topic = "refs/heads/topic"
)

// People of the model.
var (
	octo     = hooks.Person{ID: 1, Login: "octo"}     // may write everywhere
	stranger = hooks.Person{ID: 2, Login: "stranger"} // may not
	robot    = hooks.Person{ID: 3, Login: "robot[bot]", Bot: true}
	friend   = hooks.Person{ID: 4, Login: "friend[bot]", Bot: true} // is trusted
)

// sha is a commit.
func sha(n int) plan.Commit { return plan.Commit(fmt.Sprintf("%040x", n)) }

// A rig is a liaison between models of all that it has to do with, inside a bubble.
// What the models keep survives the liaison.
type rig struct {
	*Liaison
	t        *testing.T
	hub      *hub
	houses   *street
	inbox    *inbox
	projects *register
	sent     int
}

// bubble runs a test with a rig whose repository octo/world is served: main is at
// commit 1, and nothing of it is built.
func bubble(t *testing.T, test func(r *rig)) {
	t.Helper()
	require.Bubble(t, func(t *testing.T) {
		r := newRig(t)
		r.hub.repo(world, "octo/world").refs[main] = sha(1)
		stop := r.start()
		synctest.Wait()
		test(r)
		stop()
		r.inbox.check(t)
	})
}

func newRig(t *testing.T) *rig {
	h := newHub()
	return &rig{t: t, hub: h, houses: newStreet(h), inbox: newInbox(), projects: &register{all: map[string]project.Project{}}}
}

// start makes a liaison and runs it until stop is called.
func (r *rig) start() (stop func()) {
	r.Liaison = New()
	r.Houses, r.Inbox, r.Projects = r.houses, r.inbox, r.projects
	r.Wanted = func(at forge.Repository) bool { return at.Name != "octo/unwanted" }
	r.Trusted = func(bot string) bool { return bot == friend.Login }
	r.Every, r.Now, r.Jitter = 5*time.Minute, time.Now, func() float64 { return 0.5 }
	r.NewID = func(at time.Time, seed uint64) string { return fmt.Sprintf("%d-%x", at.UnixMicro(), seed) }
	r.Compared = func(context.Context) {}
	r.Log = slog.New(slog.DiscardHandler)
	r.decode = func(d hooks.Delivery) (e hooks.Event, err error) {
		if err = json.Unmarshal(d.Body, &e); e.Note == "breaks the decoder" {
			panic(e.Note)
		}
		return e, err
	}
	r.Add(forge.GitHub, r.hub, ours)
	ctx, cancel := context.WithCancel(context.Background())
	if err := r.Resume(ctx); err != nil {
		r.t.Error(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); r.Run(ctx) }()
	return func() {
		cancel()
		<-ended
		r.inbox.restart()
		r.houses.restart()
	}
}

// delivery is one of an event, which nobody has heard of.
func (r *rig) delivery(e hooks.Event) hooks.Delivery {
	r.sent++
	body, err := json.Marshal(e)
	if err != nil {
		r.t.Fatal(err)
	}
	return hooks.Delivery{Forge: "github", Key: fmt.Sprintf("github-%04d", r.sent), Body: body, Received: time.Now()}
}

// send has an event delivered, and returns the delivery's key.
func (r *rig) send(e hooks.Event) string {
	d := r.delivery(e)
	r.Foresee(d)
	r.inbox.accept(d)
	r.Wake()
	return d.Key
}

// tell is send for an event about octo/world, and waits until nothing moves.
func (r *rig) tell(e hooks.Event) string {
	e.Repository, e.App = world, ours
	if e.Sender == (hooks.Person{}) {
		e.Sender = octo
	}
	key := r.send(e)
	synctest.Wait()
	return key
}

// house is that of octo/world.
func (r *rig) house() *house { return r.houses.all[world] }

// An inbox is a model that holds the liaison to its promises.
type inbox struct {
	mu       sync.Mutex
	order    []string
	kept     map[string]hooks.Delivery
	begun    map[string]bool // in this life of the liaison
	tries    map[string]int
	first    []string          // keys in the order of their first tries
	ended    map[string]string // what became of it
	mistakes []string
	fails    func() error // of each call
}

func newInbox() *inbox {
	return &inbox{
		kept: map[string]hooks.Delivery{}, begun: map[string]bool{}, tries: map[string]int{},
		ended: map[string]string{}, fails: func() error { return nil },
	}
}

func (b *inbox) accept(d hooks.Delivery) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.kept[d.Key]; !known {
		b.kept[d.Key] = d
		b.order = append(b.order, d.Key)
	}
}

// restart is a death in good order: tries that were cut short do not count.
func (b *inbox) restart() { b.mu.Lock(); defer b.mu.Unlock(); clear(b.begun) }

func (b *inbox) Waiting(context.Context) ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.order), func(key string) bool { return b.ended[key] != "" }), b.fails()
}

var errUnreadable = errors.New("the object is broken")

func (b *inbox) Read(_ context.Context, key string) (hooks.Delivery, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := b.kept[key]
	if d.Event == "unreadable" {
		return d, errUnreadable
	}
	return d, b.fails()
}

func (b *inbox) Begin(_ context.Context, key string) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.fails(); err != nil {
		return false, err
	}
	if b.begun[key] {
		b.mistakes = append(b.mistakes, "begun twice: "+key)
	}
	if b.ended[key] != "" {
		return false, nil
	}
	b.begun[key] = true
	if b.tries[key]++; b.tries[key] == 1 {
		b.first = append(b.first, key)
	}
	return true, nil
}

func (b *inbox) end(key, as string, tried bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.fails(); err != nil {
		delete(b.begun, key) // it is taken up again, as a real one would be
		return err
	}
	if tried && !b.begun[key] {
		b.mistakes = append(b.mistakes, as+" without a try: "+key)
	}
	if b.ended[key] != "" {
		b.mistakes = append(b.mistakes, as+" after the end: "+key)
	}
	delete(b.begun, key)
	if as != "" {
		b.ended[key] = as
	}
	return nil
}

func (b *inbox) Done(_ context.Context, key string, a hooks.Action, note string) error {
	return b.end(key, string(a)+": "+note, true)
}

func (b *inbox) Failed(_ context.Context, key, reason string) error {
	return b.end(key, "failed: "+reason, false)
}

func (b *inbox) Postpone(_ context.Context, key, _ string) error { return b.end(key, "", true) }

// fate is what became of a delivery; "" if it waits.
func (b *inbox) fate(key string) string { b.mu.Lock(); defer b.mu.Unlock(); return b.ended[key] }

// tried is how often a delivery was begun.
func (b *inbox) tried(key string) int { b.mu.Lock(); defer b.mu.Unlock(); return b.tries[key] }

func (b *inbox) check(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.mistakes {
		t.Errorf("the inbox was told wrongly: %s", m)
	}
}

// pass lets time go by, by the clock of a bubble.
func pass(d time.Duration) { <-time.After(d) }
