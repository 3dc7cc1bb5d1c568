package dispatch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/architect/dispatch/clustertest"
)

// TestMain makes this binary a node of the clusters, too.
func TestMain(m *testing.M) {
	clustertest.Serve()
	os.Exit(m.Run())
}

// A cluster has the account that WriteAccount prints, with one builder in it.
type cluster struct {
	*clustertest.Cluster
	architect, builder *dispatch.Keys
	signer             *dispatch.Signer
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{architect: newKeys(t), builder: newKeys(t), signer: newSigner(t)}
	var account bytes.Buffer
	if err := dispatch.WriteAccount(&account, c.architect.Public(), []dispatch.Member{{Name: "b-1", Public: c.builder.Public()}}); err != nil {
		t.Fatal(err)
	}
	var err error
	c.Cluster, err = clustertest.Start(clustertest.Options{Dir: t.TempDir(), Account: account.String()})
	t.Cleanup(c.Stop)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cluster) dial(t testing.TB) (architect, builder *nats.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	architect, err1 := dispatch.DialArchitect(ctx, c.URL(), dispatch.Credentials{Keys: c.architect}, dispatch.DialOptions{})
	builder, err2 := dispatch.Dial(ctx, c.URL(), "b-1", c.builder, dispatch.DialOptions{})
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(architect.Close)
	t.Cleanup(builder.Close)
	return architect, builder
}

func (c *cluster) join(t testing.TB, ear dispatch.Ear, worker dispatch.Worker) (*dispatch.Link, *dispatch.Hub) {
	t.Helper()
	architect, builder := c.dial(t)
	curve := func(string) (string, bool) { return c.builder.Curve(), true }
	hub, err := dispatch.Listen(architect, ear, dispatch.Authority{Signer: c.signer, Curve: curve})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hub.Close)
	link, err := dispatch.Join(builder, "b-1", worker, dispatch.Trust{Architect: c.signer.Public(), Keys: c.builder})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(link.Close)
	c.settle(t, link, hub)
	return link, hub
}

// settle waits until word of every subscription got round.
func (c *cluster) settle(t testing.TB, link *dispatch.Link, hub *dispatch.Hub) {
	t.Helper()
	// No answer is none: the question may have gone to a listener of an earlier test,
	// of whose end word has not got round.
	unheard := func(err error) bool {
		return errors.Is(err, nats.ErrNoResponders) || errors.Is(err, context.DeadlineExceeded)
	}
	eventually(t, func(ctx context.Context) error {
		if _, err := link.Log(ctx, dispatch.Chunk{File: "none"}); unheard(err) {
			return err
		}
		if err := hub.Cancel(ctx, "b-1", dispatch.Attempt{}, ""); unheard(err) {
			return err
		}
		return nil
	})
}

// eventually tries until it works, as builders and architects do.
func eventually(t testing.TB, try func(ctx context.Context) error) {
	t.Helper()
	var err error
	for range 100 {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		err = try(ctx)
		cancel()
		if err == nil || t.Context().Err() != nil {
			return
		}
		<-time.After(100 * time.Millisecond)
	}
	t.Fatalf("never worked: %v", err)
}

// overCluster makes wires over one cluster, started for the first.
func overCluster(whole *testing.T) func(*testing.T, dispatch.Ear, dispatch.Worker) (up, down) {
	start := sync.OnceValue(func() *cluster { return startCluster(whole) })
	return func(t *testing.T, ear dispatch.Ear, worker dispatch.Worker) (up, down) {
		muffled := &muffle{Ear: ear, Worker: worker}
		link, hub := start().join(t, muffled, muffled)
		return link, hub
	}
}

// muffle keeps what settle says from who listens.
type muffle struct {
	dispatch.Ear
	dispatch.Worker
}

func (m *muffle) Stop(a dispatch.Attempt, reason string) error {
	if reason == "" {
		return nil
	}
	return m.Worker.Stop(a, reason)
}

// TestClusterLosesNodes kills one node after the other while both sides ask: in
// the end every request is answered, and none is heard under another's name.
func TestClusterLosesNodes(t *testing.T) {
	c := startCluster(t)
	ear := &counter{names: map[string]int{}, seen: map[string]bool{}}
	link, _ := c.join(t, ear, ear)
	stop := make(chan struct{})
	asked := make(chan int)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				asked <- n
				return
			default:
			}
			eventually(t, func(ctx context.Context) error {
				return link.Here(ctx, dispatch.Presence{Boot: fmt.Sprint(n)})
			})
		}
	}()
	for i := range clustertest.Size {
		c.Kill(i)
		ear.waitFor(t, 200)
		if err := c.Restart(i); err != nil {
			t.Fatal(err)
		}
		ear.waitFor(t, 200)
	}
	close(stop)
	n := <-asked
	ear.mu.Lock()
	defer ear.mu.Unlock()
	if len(ear.seen) != n || len(ear.names) != 1 || ear.names["b-1"] < n {
		t.Errorf("%d requests were answered, %d different ones heard, under the names %v", n, len(ear.seen), ear.names)
	}
	t.Logf("%d requests over %d killed nodes", n, clustertest.Size)
}

// counter counts what it hears.
type counter struct {
	recorder
	mu    sync.Mutex
	names map[string]int
	seen  map[string]bool
}

func (c *counter) Here(_ context.Context, p dispatch.Presence) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names[p.Builder]++
	c.seen[p.Boot] = true
	return nil
}

func (c *counter) Stop(dispatch.Attempt, string) error { return nil }

// waitFor waits until n more requests have been heard.
func (c *counter) waitFor(t *testing.T, n int) {
	t.Helper()
	count := func() int { c.mu.Lock(); defer c.mu.Unlock(); return len(c.seen) }
	goal := count() + n
	for range 600 {
		if count() >= goal {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	t.Fatalf("no %d requests were heard in half a minute", n)
}

func TestOneArchitect(t *testing.T) {
	c := startCluster(t)
	first, _ := c.dial(t)
	hold, err := dispatch.HoldAccount(t.Context(), first, "first")
	if err != nil {
		t.Fatal(err)
	}
	second, _ := c.dial(t)
	var held *dispatch.HeldError
	if _, err := dispatch.HoldAccount(t.Context(), second, "second"); !errors.As(err, &held) || held.Holder != "first" {
		t.Fatalf("a second architect: %v; want it refused with the first one's name", err)
	}
	hold.Release()
	for range 3 { // of many at once one gets it
		var won []*dispatch.Hold
		var mu sync.Mutex
		var group sync.WaitGroup
		for i := range 3 {
			conn, _ := c.dial(t)
			group.Go(func() {
				h, err := dispatch.HoldAccount(t.Context(), conn, fmt.Sprint(i))
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won = append(won, h)
				} else if !errors.As(err, &held) {
					t.Errorf("claim %d: %v", i, err)
				}
			})
		}
		group.Wait()
		if len(won) != 1 {
			t.Fatalf("%d architects hold the account, want 1", len(won))
		}
		won[0].Release()
	}
}

func TestWriteAccountRefuses(t *testing.T) {
	key := newKeys(t).Public()
	for _, c := range []struct {
		architect string
		member    dispatch.Member
	}{
		{"x", dispatch.Member{Name: "b", Public: key}},
		{newSigner(t).Public(), dispatch.Member{Name: "b", Public: key}},
		{key, dispatch.Member{Name: "b }", Public: key}},
		{key, dispatch.Member{Name: ">", Public: key}},
		{key, dispatch.Member{Name: "b", Public: key + " }"}},
	} {
		if err := dispatch.WriteAccount(&bytes.Buffer{}, c.architect, []dispatch.Member{c.member}); err == nil {
			t.Errorf("WriteAccount(%q, %v) = nil error", c.architect, c.member)
		}
	}
}
