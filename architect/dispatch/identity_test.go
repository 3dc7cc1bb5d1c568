package dispatch_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/velocity-ci/velocity/architect/dispatch"
)

// TestBuilderHearsAndSaysOnlyItsOwn lets a builder with valid keys try what is
// not its own: every publication and subscription is refused by the server, and
// it hears nothing of what goes on.
func TestBuilderHearsAndSaysOnlyItsOwn(t *testing.T) {
	r := newRig(t, "evil", "victim")
	ear := &recorder{}
	hub := r.listen(t, ear)
	worker := &recorder{}
	victim := r.join(t, r.dial(t, "wss", "victim", r.keys["victim"]), "victim", worker)

	refusals := make(chan error, 1000)
	url, o := r.way("wss")
	o.Log = slog.New(refused{slog.DiscardHandler, refusals})
	evil, err := dispatch.Dial(t.Context(), url, "evil", r.keys["evil"], o)
	if err != nil {
		t.Fatal(err)
	}
	defer evil.Close()

	subjects := []string{
		">", "*.>", "velocity.>", "velocity.builder.>", "velocity.builder.*.assign", "velocity.builder.*.cancel",
		"velocity.builder.victim.assign", "velocity.builder.victim.cancel", "velocity.builder.victim.up.here", "velocity.builder.evil.>",
		"velocity.builder.evil.up.here", "velocity.architect.who", "velocity.architect.inbox.>", "velocity.event.>",
		"_INBOX.>", "_INBOX.*.>", "_INBOX.victim.>", "_INBOX.evilx.>", "$SYS.>", "$SYS.REQ.USER.INFO", "$JS.API.>", "_R_.>",
	}
	var heard []*nats.Subscription
	for _, s := range subjects {
		for _, queue := range []string{"", "q"} {
			sub, err := evil.QueueSubscribeSync(s, queue)
			if queue == "" {
				sub, err = evil.SubscribeSync(s)
			}
			if err != nil {
				t.Fatal(err)
			}
			heard = append(heard, sub)
		}
	}
	publications := []string{
		"velocity.builder.victim.assign", "velocity.builder.victim.cancel", "velocity.builder.victim.up.here", "velocity.builder.victim.up.end",
		"velocity.builder.evil.assign", "velocity.architect.who", "velocity.architect.inbox.x", "velocity.event.abc123-9",
		"_INBOX.victim.x", "_INBOX.evil.x", "$SYS.REQ.USER.INFO", "$SYS.ACCOUNT.x", "$JS.API.INFO", "velocity.x",
	}
	for _, s := range publications {
		if err := evil.PublishRequest(s, "_INBOX.evil.x", []byte(`{"version":1,"body":{}}`)); err != nil {
			t.Fatal(err)
		}
	}
	if err := evil.Flush(); err != nil {
		t.Fatal(err)
	}
	want := 2*len(subjects) + len(publications)
	for range want {
		select {
		case err := <-refusals:
			if !strings.Contains(err.Error(), "permissions violation") {
				t.Errorf("an error that is no refusal: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%d refusals too few, of %d", want-len(refusals), want)
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := hub.Assign(ctx, "victim", dispatch.Assignment{Attempt: attempt}); err != nil {
		t.Fatal(err)
	}
	if err := victim.Here(ctx, dispatch.Presence{Boot: "v"}); err != nil {
		t.Fatal(err)
	}
	if err := evil.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, sub := range heard {
		if n, _, _ := sub.Pending(); n != 0 {
			t.Errorf("the builder heard %d messages on %s", n, sub.Subject)
		}
	}
	if len(worker.heard) != 1 || len(ear.heard) != 1 {
		t.Errorf("the victim heard %v and the architect %v; want one message each", worker.heard, ear.heard)
	}
}

// refused passes on the errors of log records.
type refused struct {
	slog.Handler
	errs chan<- error
}

func (h refused) Enabled(context.Context, slog.Level) bool { return true }

func (h refused) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok {
			h.errs <- err
		}
		return true
	})
	return nil
}

// A builder may ask where it likes for its answer, and the architect may publish
// anywhere: it must not become the hand that reaches others.
func TestArchitectAnswersOnlyIntoTheInbox(t *testing.T) {
	r := newRig(t, "evil", "victim")
	ear := &recorder{}
	r.listen(t, ear)
	watch := r.architect(t)
	evil := r.dial(t, "ws", "evil", r.keys["evil"])
	for _, reply := range []string{
		"velocity.builder.victim.assign", "velocity.builder.victim.cancel", "velocity.architect.who", "_INBOX.victim.x",
		"_INBOX.evilx.y", "_INBOX.evil", "velocity.event.abc123-9",
	} {
		var sub *nats.Subscription
		if !strings.HasPrefix(reply, "_INBOX") {
			var err error
			if sub, err = watch.SubscribeSync(reply); err != nil {
				t.Fatal(err)
			}
			if err := watch.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if err := evil.PublishRequest("velocity.builder.evil.up.here", reply, []byte(`{"version":1,"body":{}}`)); err != nil {
			t.Fatal(err)
		}
		if sub == nil {
			continue
		}
		defer func() {
			if n, _, _ := sub.Pending(); n != 0 {
				t.Errorf("the architect answered to %s", reply)
			}
		}()
	}
	link := r.join(t, evil, "evil", &recorder{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := link.Here(ctx, dispatch.Presence{}); err != nil { // after all of the above, in order
		t.Fatal(err)
	}
	if len(ear.heard) != 1 {
		t.Errorf("the architect heard %d messages; want the one that asks for its answer where it may", len(ear.heard))
	}
}

func TestStrangers(t *testing.T) {
	r := newRig(t, "b-1", "b-2")
	for _, way := range ways[1:] { // in the process there are none
		url, o := r.way(way)
		if _, err := dispatch.Dial(t.Context(), url, "b-1", newKeys(t), o); !errors.Is(err, dispatch.ErrNotAuthorized) {
			t.Errorf("%s: an unknown key: %v; want %v", way, err, dispatch.ErrNotAuthorized)
		}
		// The name is the key's, whatever the builder calls itself.
		conn, err := dispatch.Dial(t.Context(), url, "b-1", r.keys["b-2"], o)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if err := r.join(t, conn, "b-1", &recorder{}).Here(ctx, dispatch.Presence{}); err == nil {
			t.Errorf("%s: b-2 speaks as b-1", way)
		}
		cancel()
		conn.Close()
	}
	for name, option := range map[string]nats.Option{
		"nobody":             nats.Name("x"),
		"a guessed password": nats.UserInfo("ARCHITECT", "x"),
		"no password":        nats.UserInfo("ARCHITECT", ""),
		"a token":            nats.Token("x"),
		"another's key":      nats.Nkey(r.keys["b-1"].Public(), func([]byte) ([]byte, error) { return make([]byte, 64), nil }),
		"no signature":       nats.Nkey(r.keys["b-1"].Public(), func([]byte) ([]byte, error) { return nil, nil }),
	} {
		url, _ := r.way("ws")
		conn, err := nats.Connect(url, option)
		if err == nil {
			conn.Close()
			t.Errorf("%s may connect", name)
		}
	}
}

func TestRevocation(t *testing.T) {
	r := newRig(t, "b-1", "b-2")
	hub := r.listen(t, &recorder{})
	errs := make(chan error, 100)
	url, o := r.way("wss")
	o.Log = slog.New(refused{slog.DiscardHandler, errs})
	conn, err := dispatch.Dial(t.Context(), url, "b-1", r.keys["b-1"], o)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r.join(t, conn, "b-1", &recorder{})
	r.join(t, r.dial(t, "wss", "b-2", r.keys["b-2"]), "b-2", &recorder{})
	keys := r.keys["b-1"]
	r.revoke("b-1")
	r.mu.Lock()
	r.keys["b-1"] = newKeys(t) // registered anew on another machine
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := hub.Cancel(ctx, "b-1", attempt, "x"); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("a revoked builder can be asked: %v", err)
	}
	if err := hub.Cancel(ctx, "b-2", attempt, "x"); err != nil {
		t.Errorf("the other builder: %v", err)
	}
	for told := false; !told; {
		select {
		case err := <-errs:
			told = errors.Is(err, dispatch.ErrNotAuthorized)
		case <-ctx.Done():
			t.Fatal("the builder is not told why it cannot come back")
		}
	}
	if _, err := dispatch.Dial(ctx, url, "b-1", keys, o); !errors.Is(err, dispatch.ErrNotAuthorized) {
		t.Errorf("a revoked builder connects: %v", err)
	}
}

// A builder that comes back while its old connection still counts takes over.
func TestTakeOver(t *testing.T) {
	r := newRig(t, "b-1")
	hub := r.listen(t, &recorder{})
	older := r.dial(t, "ws", "b-1", r.keys["b-1"])
	broken := make(chan struct{}, 1)
	older.SetDisconnectErrHandler(func(*nats.Conn, error) {
		select {
		case broken <- struct{}{}:
		default: // it had come back before it was closed, and was the older one again
		}
	})
	newer := &recorder{}
	link := r.join(t, r.dial(t, "in process", "b-1", r.keys["b-1"]), "b-1", newer)
	select {
	case <-broken:
		older.Close()
	case <-time.After(10 * time.Second):
		t.Fatal("the older connection stays")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	eventually(t, func(ctx context.Context) error { return link.Here(ctx, dispatch.Presence{}) })
	if err := hub.Cancel(ctx, "b-1", attempt, "x"); err != nil && !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("the newer connection is not asked: %v", err)
	}
}

// One builder's flood is bounded, and hinders no other.
func TestFlood(t *testing.T) {
	r := newRig(t, "b-1", "b-2")
	ear := &stuck{recorder: recorder{}, release: make(chan struct{})}
	r.listen(t, ear)
	flood := r.dial(t, "in process", "b-1", r.keys["b-1"])
	for range 1000 {
		if err := flood.PublishRequest("velocity.builder.b-1.up.step", "_INBOX.b-1.x", []byte(`{"version":1,"body":{}}`)); err != nil {
			t.Fatal(err)
		}
	}
	if err := flood.Flush(); err != nil {
		t.Fatal(err)
	}
	other := r.join(t, r.dial(t, "in process", "b-2", r.keys["b-2"]), "b-2", &recorder{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := other.Here(ctx, dispatch.Presence{}); err != nil {
		t.Errorf("another builder is not heard: %v", err)
	}
	ear.mu.Lock()
	if ear.inside > 64 {
		t.Errorf("%d messages of one builder are handled at a time", ear.inside)
	}
	ear.mu.Unlock()
	close(ear.release)
}

// stuck is an ear that takes long over steps.
type stuck struct {
	recorder
	mu      sync.Mutex
	inside  int
	release chan struct{}
}

func (s *stuck) Step(context.Context, string, dispatch.Progress) error {
	s.mu.Lock()
	s.inside++
	s.mu.Unlock()
	<-s.release
	return nil
}
