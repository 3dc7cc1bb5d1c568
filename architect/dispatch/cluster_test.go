package dispatch_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/velocity-ci/velocity/architect/dispatch"
)

// A cluster is three nats-server processes that were configured with what
// WriteAccount prints.
type cluster struct {
	binary, config string
	clients        []string // addresses
	routes         []string
	nodes          []*exec.Cmd

	architect, builder *dispatch.Keys
	signer             *dispatch.Signer
}

const clusterSize = 3

func startCluster(t *testing.T) *cluster {
	t.Helper()
	dir := t.TempDir()
	c := &cluster{
		binary: filepath.Join(dir, "nats-server"), config: filepath.Join(dir, "cluster.conf"),
		architect: newKeys(t), builder: newKeys(t), signer: newSigner(t), nodes: make([]*exec.Cmd, clusterSize),
	}
	if out, err := exec.Command("go", "build", "-o", c.binary, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		t.Fatalf("build nats-server: %v: %s", err, out)
	}
	var config bytes.Buffer
	if err := dispatch.WriteAccount(&config, c.architect.Public(), []dispatch.Member{{Name: "b-1", Public: c.builder.Public()}}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.config, config.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for range clusterSize {
		c.clients, c.routes = append(c.clients, freeAddress(t)), append(c.routes, freeAddress(t))
	}
	for i := range clusterSize {
		c.start(t, i)
	}
	t.Cleanup(func() {
		for i := range c.nodes {
			c.kill(i)
		}
	})
	return c
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start runs one node and waits until it answers.
func (c *cluster) start(t *testing.T, i int) {
	t.Helper()
	routes := make([]string, clusterSize)
	for j, address := range c.routes {
		routes[j] = "nats-route://" + address
	}
	host, port, _ := net.SplitHostPort(c.clients[i])
	node := exec.Command(c.binary, "-c", c.config, "-a", host, "-p", port, "-n", fmt.Sprintf("n%d", i),
		"--cluster_name", "c", "--cluster", "nats://"+c.routes[i], "--routes", strings.Join(routes, ","))
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	c.nodes[i] = node
	for tries := 0; ; tries++ {
		if conn, err := net.Dial("tcp", c.clients[i]); err == nil {
			conn.Close()
			return
		} else if tries == 200 {
			t.Fatalf("node %d does not answer: %v", i, err)
		}
		<-time.After(50 * time.Millisecond)
	}
}

func (c *cluster) kill(i int) {
	if c.nodes[i] != nil {
		_ = c.nodes[i].Process.Kill()
		_ = c.nodes[i].Wait()
		c.nodes[i] = nil
	}
}

func (c *cluster) url() string { return "nats://" + strings.Join(c.clients, ",nats://") }

func (c *cluster) dial(t testing.TB) (architect, builder *nats.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	architect, err1 := dispatch.DialArchitect(ctx, c.url(), dispatch.Credentials{Keys: c.architect}, dispatch.DialOptions{})
	builder, err2 := dispatch.Dial(ctx, c.url(), "b-1", c.builder, dispatch.DialOptions{})
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
	eventually(t, func(ctx context.Context) error {
		_, err := link.Log(ctx, dispatch.Chunk{File: "none"})
		if errors.Is(err, nats.ErrNoResponders) {
			return err
		}
		err = hub.Cancel(ctx, "b-1", dispatch.Attempt{}, "")
		if errors.Is(err, nats.ErrNoResponders) {
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
	for i := range clusterSize {
		c.kill(i)
		ear.waitFor(t, 200)
		c.start(t, i)
		ear.waitFor(t, 200)
	}
	close(stop)
	n := <-asked
	ear.mu.Lock()
	defer ear.mu.Unlock()
	if len(ear.seen) != n || len(ear.names) != 1 || ear.names["b-1"] < n {
		t.Errorf("%d requests were answered, %d different ones heard, under the names %v", n, len(ear.seen), ear.names)
	}
	t.Logf("%d requests over %d killed nodes", n, clusterSize)
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
