package hooks

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Secrets of the tests, and the clock of all of them.
const (
	testSecret = "it is on a note under the keyboard"
	testKey    = "0123456789abcdef0123456789abcdef"
)

var testNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// A memory is an Inbox that lasts as long as the test.
type memory struct {
	mu   sync.Mutex
	kept []Delivery
	keys map[string]bool
	err  error // for every delivery
}

func (m *memory) Accept(_ context.Context, d Delivery) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil || m.keys[d.Key] {
		return m.err
	}
	if m.keys == nil {
		m.keys = map[string]bool{}
	}
	m.keys[d.Key] = true
	m.kept = append(m.kept, d)
	return nil
}

func (m *memory) all() []Delivery {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept
}

// An answer is a ResponseRecorder on a connection that takes deadlines.
type answer struct{ *httptest.ResponseRecorder }

func (answer) SetReadDeadline(time.Time) error { return nil }

// A counted body tells how much of it was read.
type counted struct {
	io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *counted) Close() error { return nil }

func testReceiver(inbox Inbox) Receiver {
	return Receiver{Inbox: inbox, Now: func() time.Time { return testNow }, Log: slog.New(slog.DiscardHandler)}
}

func secret(tb testing.TB, value string) Secret {
	tb.Helper()
	s, err := NewSecret(value)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func gitHub(tb testing.TB, r Receiver) *GitHub {
	tb.Helper()
	h, err := NewGitHub(r, secret(tb, testSecret))
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

// gitLab makes a handler with a token, and with a signing key if signed is asked for.
func gitLab(tb testing.TB, r Receiver, signed bool) *GitLab {
	tb.Helper()
	var keys []Secret
	if signed {
		keys = append(keys, secret(tb, testKey))
	}
	h, err := NewGitLab(r, []Secret{secret(tb, testSecret)}, keys)
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

// hubSign is a signature made from what GitHub's documentation says, not by our code.
func hubSign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func labSign(key, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(id + "." + timestamp + "." + string(body)))
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func post(body []byte) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/hooks", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return r
}

func hubPost(event, guid string, body []byte) *http.Request {
	r := post(body)
	r.Header.Set("X-GitHub-Event", event)
	r.Header.Set("X-GitHub-Delivery", guid)
	r.Header.Set("X-GitHub-Hook-ID", "7")
	r.Header.Set("X-Hub-Signature-256", hubSign(testSecret, body))
	return r
}

func labPost(event, id string, body []byte) *http.Request {
	r := post(body)
	r.Header.Set("X-Gitlab-Event", event)
	r.Header.Set("X-Gitlab-Token", testSecret)
	r.Header.Set("Idempotency-Key", id)
	return r
}

func labSigned(event, id string, at time.Time, body []byte) *http.Request {
	r := post(body)
	timestamp := strconv.FormatInt(at.Unix(), 10)
	r.Header.Set("X-Gitlab-Event", event)
	r.Header.Set("Webhook-Id", id)
	r.Header.Set("Webhook-Timestamp", timestamp)
	r.Header.Set("Webhook-Signature", labSign(testKey, id, timestamp, body))
	return r
}

// A reply is the head of a response, which is all that matters of it.
type reply struct {
	StatusCode int
	Status     string
	Header     http.Header
}

func send(h http.Handler, r *http.Request) reply {
	w := answer{httptest.NewRecorder()}
	h.ServeHTTP(w, r)
	return reply{w.Code, fmt.Sprint(w.Code, " ", http.StatusText(w.Code)), w.Header()}
}

func TestReceiverRefuses(t *testing.T) {
	body := []byte(`{}`)
	tests := map[string]struct {
		change func(r *http.Request)
		status int
		reason string
	}{
		"get":            {func(r *http.Request) { r.Method = http.MethodGet }, 405, "no POST"},
		"promised":       {func(r *http.Request) { r.ContentLength = 25<<20 + 1 }, 413, "too large"},
		"gzip":           {func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, 415, "compressed"},
		"text":           {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415, "content type"},
		"no type":        {func(r *http.Request) { r.Header.Del("Content-Type") }, 415, "content type"},
		"unsigned":       {func(r *http.Request) { r.Header.Del("X-Hub-Signature-256") }, 401, "unsigned"},
		"odd signature":  {func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", "sha256=zz") }, 401, "bad signature"},
		"two signatures": {func(r *http.Request) { r.Header.Add("X-Hub-Signature-256", hubSign(testSecret, body)) }, 401, "unsigned"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inbox := &memory{}
			receiver := testReceiver(inbox)
			var reason, from string
			receiver.Refused = func(why, source string) { reason, from = why, source }
			r := hubPost("push", "1", body)
			test.change(r)
			unread := &counted{Reader: bytes.NewReader(body)}
			r.Body = unread
			resp := send(gitHub(t, receiver), r)
			if resp.StatusCode != test.status || reason != test.reason || from != "192.0.2.1" {
				t.Errorf("answered %d, refused %q of %q; want %d, %q of 192.0.2.1", resp.StatusCode, reason, from, test.status, test.reason)
			}
			if len(inbox.all()) > 0 || unread.n > 0 {
				t.Errorf("kept %d deliveries and read %d bytes of a request that its head condemns", len(inbox.all()), unread.n)
			}
			if resp.Header.Get("Connection") != "close" {
				t.Error("the connection is kept open, for which the server would read the body")
			}
		})
	}
}

// endless is a body that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte("x"), len(p))), nil }

func TestReceiverStopsReadingAtTheLimit(t *testing.T) {
	receiver := testReceiver(&memory{})
	receiver.Limits = Limits{Body: 1 << 20}
	r := hubPost("push", "1", nil)
	body := &counted{Reader: endless{}}
	r.Body, r.ContentLength = body, -1
	if resp := send(gitHub(t, receiver), r); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("an endless body is answered %s; want 413", resp.Status)
	}
	if body.n > 1<<20+1 {
		t.Errorf("%d bytes of the body were read; want no more than the limit and one", body.n)
	}
}

func TestReceiverTakesTheLargestBody(t *testing.T) {
	inbox := &memory{}
	receiver := testReceiver(inbox)
	receiver.Limits = Limits{Body: 1 << 20}
	largest := bytes.Repeat([]byte(" "), 1<<20)
	for _, length := range []int64{1 << 20, -1} { // -1 is a body in chunks
		r := hubPost("push", strconv.FormatInt(length, 10), largest)
		r.ContentLength = length
		if resp := send(gitHub(t, receiver), r); resp.StatusCode != http.StatusAccepted {
			t.Errorf("a body of the largest size with Content-Length %d is answered %s; want 202", length, resp.Status)
		}
	}
	for _, d := range inbox.all() {
		if !bytes.Equal(d.Body, largest) {
			t.Errorf("kept %d bytes; want those that were sent", len(d.Body))
		}
	}
}

func TestReceiverBoundsMemory(t *testing.T) {
	receiver := testReceiver(&memory{})
	receiver.Limits = Limits{Memory: 64 << 10}
	h := gitHub(t, receiver)
	var resp reply
	for range 3 { // what one took is there again for the next
		resp = send(h, hubPost("push", "1", make([]byte, 20<<10)))
		if resp.StatusCode != http.StatusAccepted {
			t.Errorf("a body that fits is answered %s; want 202", resp.Status)
		}
		resp = send(h, hubPost("push", "2", make([]byte, 80<<10)))
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
			t.Errorf("a body for which there is no memory is answered %s; want 503 with Retry-After", resp.Status)
		}
	}
	if !h.gate.memory.TryAcquire(64 << 10) {
		t.Error("requests that are over still hold memory")
	}
}

// A waiting inbox holds the first that it is given until it is released.
type waiting struct {
	holds         atomic.Bool
	came, release chan struct{}
}

func (w *waiting) Accept(context.Context, Delivery) error {
	if w.holds.CompareAndSwap(false, true) {
		close(w.came)
		<-w.release
	}
	return nil
}

func TestReceiverBoundsReaders(t *testing.T) {
	inbox := &waiting{came: make(chan struct{}), release: make(chan struct{})}
	receiver := testReceiver(inbox)
	receiver.Limits = Limits{Readers: 1}
	h := gitHub(t, receiver)
	first := make(chan int)
	go func() { first <- send(h, hubPost("push", "1", []byte(`{}`))).StatusCode }()
	<-inbox.came
	if resp := send(h, hubPost("push", "2", []byte(`{}`))); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one request more than may be read is answered %s; want 503", resp.Status)
	}
	close(inbox.release)
	if status := <-first; status != http.StatusAccepted {
		t.Errorf("the request before is answered %d; want 202", status)
	}
}

func TestReceiverTellsWhenItCannotKeep(t *testing.T) {
	var told string
	receiver := testReceiver(&memory{err: io.ErrShortWrite})
	receiver.Refused = func(reason, _ string) { told = reason }
	resp := send(gitHub(t, receiver), hubPost("push", "1", []byte(`{}`)))
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || told != "not kept" {
		t.Errorf("answered %s, refused %q; want 503 with Retry-After, not kept", resp.Status, told)
	}
}

// bare is a connection that takes no deadline, as behind a handler that hides it.
type bare struct{ http.ResponseWriter }

func TestReceiverWantsDeadlines(t *testing.T) {
	w := httptest.NewRecorder()
	gitHub(t, testReceiver(&memory{})).ServeHTTP(bare{w}, hubPost("push", "1", []byte(`{}`)))
	if w.Code != http.StatusInternalServerError {
		t.Errorf("a connection without deadlines is answered %d; want 500", w.Code)
	}
}
