package hooks

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"
)

// fromHeader has a test say where a request comes from.
const fromHeader = "X-Test-From"

// placed answers as if requests came from where they say.
func placed(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if from := r.Header.Get(fromHeader); from != "" {
			r.RemoteAddr = net.JoinHostPort(from, "1")
		}
		h.ServeHTTP(w, r)
	})
}

// overWire sends a request to a server, as from an address, and returns the status.
func overWire(t *testing.T, server *httptest.Server, r *http.Request, from string) int {
	t.Helper()
	r.URL.Scheme, r.URL.Host, r.RequestURI = "http", server.Listener.Addr().String(), ""
	r.Header.Set(fromHeader, from)
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// apart are two addresses that share no place with another one, or with each other:
// which ones do is different in each process.
func apart(c *crowd, another string) (one, two string) {
	taken, found := map[*place]bool{c.of(another): true}, []string{}
	for i := 1; len(found) < 2; i++ {
		if address := fmt.Sprint("198.51.100.", i); !taken[c.of(address)] {
			taken[c.of(address)] = true
			found = append(found, address)
		}
	}
	return found[0], found[1]
}

// One address opens connections and sends half a body on each; another one, which is
// also the forge's, sends without pause what is not signed, or not with our secret.
// Everything good arrives meanwhile, and memory is what the limits say.
func TestFloodDoesNotHinder(t *testing.T) {
	const slow, most, good, flooders = 300, 64, 200, 6
	refused := make(chan string, slow)
	inbox := &memory{}
	receiver := testReceiver(inbox)
	receiver.Limits = Limits{Readers: 8 * most, Source: most, Time: time.Hour}
	receiver.Refused = func(reason, source string) {
		if source == "203.0.113.1" {
			refused <- reason
		}
	}
	h := gitHub(t, receiver)
	server := httptest.NewServer(placed(h))
	t.Cleanup(server.Close) // after the connections
	for range slow {
		var dialer net.Dialer
		conn, err := dialer.DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if _, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: velocity\r\nContent-Type: application/json\r\n%s: 203.0.113.1\r\n"+
			"X-Hub-Signature-256: %s\r\nContent-Length: 10\r\n\r\n{", fromHeader, hubSign(testSecret, []byte("{"))); err != nil {
			t.Fatal(err)
		}
	}
	for range slow - most {
		if reason := <-refused; reason != tooMany.reason {
			t.Fatalf("a slow one is refused as %q; want %q", reason, tooMany.reason)
		}
	}

	forge, other := apart(h.gate.crowd, "203.0.113.1")
	stop := make(chan struct{})
	var flood sync.WaitGroup
	for n := range flooders {
		flood.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r := hubPost("push", "bad", []byte(`{}`))
				r.Header.Del("X-Hub-Signature-256")
				if n%2 == 0 {
					r.Header.Set("X-Hub-Signature-256", hubSign("other", []byte(`{}`)))
				}
				if got := overWire(t, server, r, forge); got != http.StatusUnauthorized && got != http.StatusTooManyRequests {
					t.Errorf("a bad one is answered %d", got)
					return
				}
			}
		})
	}
	for i := range good {
		from := []string{forge, other}[i%2]
		if got := overWire(t, server, hubPost("push", strconv.Itoa(i), []byte(`{}`)), from); got != http.StatusAccepted {
			t.Errorf("good one %d from %s is answered %d; want 202", i, from, got)
		}
	}
	close(stop)
	flood.Wait()
	if n := len(inbox.all()); n != good {
		t.Errorf("%d were kept; want %d", n, good)
	}
	if left := h.gate.Limits.Memory - most*firstRead; !h.gate.memory.TryAcquire(left) {
		t.Errorf("the slow ones hold more than %d bytes", most*firstRead)
	}
}

// An address that was refused much has few read at the same time, until that is
// forgotten. Others are not touched by it.
func TestWatched(t *testing.T) {
	c, now, l := newCrowd(), testNow, Limits{Source: 8, Watched: 2}
	bad, other := &place{}, &place{}
	entered := func(p *place) (n int) {
		for c.enter(p, now, l) {
			n++
		}
		for range n {
			c.leave(p)
		}
		return n
	}
	for range refusedAtOnce - 1 {
		c.blame(bad, now)
	}
	if got := entered(bad); got != l.Source {
		t.Errorf("before it is watched, %d are read; want %d", got, l.Source)
	}
	for range 1000 {
		c.blame(bad, now)
	}
	if got := entered(bad); got != l.Watched {
		t.Errorf("watched, %d are read; want %d", got, l.Watched)
	}
	if got := entered(other); got != l.Source {
		t.Errorf("of another, %d are read; want %d", got, l.Source)
	}
	now = now.Add(3 * refusedEvery)
	if got := entered(bad); got != l.Source {
		t.Errorf("when it has stopped, %d are read; want %d", got, l.Source)
	}
}

// One address cannot have all of the memory.
func TestSourceMemory(t *testing.T) {
	c := newCrowd()
	p := c.of("203.0.113.1")
	if !c.hold(p, sourceMemory) || c.hold(p, 1) {
		t.Error("an address holds less than it may, or more")
	}
	c.hold(p, -1)
	if !c.hold(p, 1) {
		t.Error("what was given back is not there")
	}
	h := gitHub(t, testReceiver(&memory{}))
	r := hubPost("push", "1", bytes.Repeat([]byte(" "), 1<<20))
	at := h.gate.crowd.of(source(r))
	h.gate.crowd.hold(at, sourceMemory)
	if resp := send(h, r); resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
		t.Errorf("a body of one that holds all is answered %s; want 429 with Retry-After", resp.Status)
	}
	h.gate.crowd.hold(at, -sourceMemory)
	r.Body = io.NopCloser(bytes.NewReader(bytes.Repeat([]byte(" "), 1<<20)))
	send(h, r)
	if at.held != 0 || at.reading != 0 {
		t.Errorf("afterwards it holds %d bytes in %d requests", at.held, at.reading)
	}
}

func TestPlaces(t *testing.T) {
	c := newCrowd()
	if c.of("2001:db8::1") != c.of("2001:db8::ffff:2") {
		t.Error("two addresses of one network have different places")
	}
	all := map[*place]bool{}
	for i := range 64 {
		all[c.of(fmt.Sprint("203.0.113.", i))] = true
		all[c.of(fmt.Sprintf("2001:db8:0:%x::1", i))] = true
	}
	if len(all) < 100 { // of 128, in 4096 places
		t.Errorf("128 addresses have %d places", len(all))
	}
}
