package app_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/velocity-ci/velocity/hooks/plugin"
)

// A mailbox is where a webhook sends events.
type mailbox struct {
	*httptest.Server
	got chan plugin.Event

	mu   sync.Mutex
	text strings.Builder // all that came
}

var signing = []byte("canary 3f9a2c: signs all that is sent")

func signingText() string { return "whsec_" + base64.StdEncoding.EncodeToString(signing) }

// newMailbox is one that answers like this, and checks signatures if it is signed.
func newMailbox(t *testing.T, signed bool, answer http.HandlerFunc) *mailbox {
	t.Helper()
	m := &mailbox{got: make(chan plugin.Event, 1000)}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		mac := hmac.New(sha256.New, signing)
		fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), body)
		want := ""
		if signed {
			want = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		}
		var e plugin.Event
		if got := r.Header.Get("webhook-signature"); err != nil || got != want || json.Unmarshal(body, &e) != nil {
			t.Errorf("%v, signed %q, want %q: %s", err, got, want, body)
		}
		m.mu.Lock()
		m.text.Write(body)
		m.mu.Unlock()
		m.got <- e
		answer(w, r)
	}))
	t.Cleanup(m.Close)
	return m
}

func (m *mailbox) host() string { return strings.TrimPrefix(m.URL, "http://") }

// next waits for the next event.
func (m *mailbox) next(t *testing.T) plugin.Event {
	t.Helper()
	select {
	case e := <-m.got:
		return e
	case <-atHome(t).Done():
		t.Fatal("nothing came")
		return plugin.Event{}
	}
}

// hears waits for these events, in this order.
func (m *mailbox) hears(t *testing.T, names ...string) {
	t.Helper()
	for _, want := range names {
		e := m.next(t)
		got := string(e.Data.Event)
		if e.Data.Task != nil {
			got += " " + e.Data.Task.Key
		}
		if got != want {
			t.Errorf("heard %s; want %s", got, want)
		}
	}
}

func accept(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }

// hell is a program for each way in which one can be bad. A pipe shows that the one
// that hangs has begun.
func hell(t *testing.T, begun string) (config string) {
	t.Helper()
	folder := t.TempDir()
	for name, script := range map[string]string{
		"hangs":   "echo here >" + begun + "; exec /bin/sleep 600",
		"crashes": "kill -SEGV $$",
		"floods":  "exec /usr/bin/head -c 1000000000 /dev/zero",
		"forks":   "for i in 1 2 3 4 5 6 7 8; do /bin/sleep 600 & done; exit 1",
	} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		config += "    - {use: exec, arguments: {command: " + path + "}, events: [BUILD_START, BUILD_COMPLETE]}\n"
	}
	return config
}

// Builds go on and good plugins are told of them while others hang, crash, flood,
// fork and fail; what is given up is a notice of the build, also when it is over.
func TestPlugins(t *testing.T) {
	closing := make(chan struct{})
	own, theirs := newMailbox(t, true, accept), newMailbox(t, true, accept)
	hangs := newMailbox(t, false, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-closing:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(closing) }) // before the servers, which wait for it
	broken := newMailbox(t, false, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<b>no", http.StatusInternalServerError) })
	gone := newMailbox(t, false, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<b>no", http.StatusGone) })
	forbidden := newMailbox(t, false, accept)
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, []byte(signingText()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wait, begun := newGate(t), newGate(t)
	all := "BUILD_START, TASK_START, TASK_COMPLETE, TASK_SUCCESS, TASK_FAIL, BUILD_COMPLETE, BUILD_SUCCESS, BUILD_FAIL"
	k := foundKiosk(t, map[string]string{"talk": "steps: [{type: run, script: 'read go <" + wait.path + "'}]"}, strings.Join([]string{
		"builder: {executor: host, capacity: 4}",
		"plugins:", "  allow: [webhook]", "  hosts: ['" + theirs.host() + "']", "  run:",
		"    - {use: webhook, arguments: {url: " + hangs.URL + "}, events: [BUILD_START]}",
		"    - {use: webhook, arguments: {url: " + broken.URL + "}, events: [" + all + "]}",
		"    - {use: webhook, arguments: {url: " + gone.URL + "}}",
		"    - {use: webhook, arguments: {url: " + own.URL + ", secret: " + keyFile + "}, events: [" + all + "]}",
		hell(t, begun.path)}, "\n"))
	k.serve()
	k.signIn()
	k.write("shop/.velocity.yml", `plugins:
  - {use: webhook, arguments: {url: "`+theirs.URL+`/hook", secret: "${signing}"}, events: [BUILD_START, BUILD_SUCCESS]}
  - {use: webhook, arguments: {url: "https://`+forbidden.host()+`/"}}
  - {use: slack, arguments: {url: "${signing}"}}
`)
	k.git("add", ".")
	k.git("commit", "-qm", "Tell others")
	if status := run(t.Context(), k.root, signingText(), k.said, "secret", "set", "signing", "--repository", "shop", "--config", filepath.Join(k.root, "server.yml")); status != 0 {
		t.Fatalf("secret set ended with %d", status)
	}
	id := k.start("talk")
	own.hears(t, "BUILD_START", "TASK_START s0t0")
	theirs.hears(t, "BUILD_START")
	hangs.hears(t, "BUILD_START")
	broken.hears(t, "BUILD_START", "BUILD_START")      // again, until it is taken
	if _, err := os.ReadFile(begun.path); err != nil { // the program that hangs has begun
		t.Fatal(err)
	}
	wait.open()
	own.hears(t, "TASK_COMPLETE s0t0", "TASK_SUCCESS s0t0", "BUILD_COMPLETE", "BUILD_SUCCESS")
	theirs.hears(t, "BUILD_SUCCESS")

	notices := []string{
		"plugin webhook (plugins.run[2]) was not told of BUILD_COMPLETE: it answered 410 Gone",
		"plugin webhook (plugins[1] of the root file) was not told of BUILD_COMPLETE: refused: " + forbidden.host() + " is not a public address: plugins.hosts in the server's configuration can allow its host",
		"plugin slack (plugins[2] of the root file) is not run: this server does not allow it: plugins.allow in its configuration does",
	}
	said := func() bool { return strings.Count(k.said.text(), "plugin gave up") >= len(notices) }
	if err := k.said.wait(atHome(t), said); err != nil {
		t.Fatalf("%v\n%s", err, k.said.text())
	}
	status, page := k.open("/builds/" + id)
	for _, notice := range notices {
		if text := strings.ReplaceAll(notice, "'", "&#39;"); status != http.StatusOK || !strings.Contains(page, text) {
			t.Errorf("%d: the page does not have %q:\n%s", status, text, page)
		}
	}
	if n := len(forbidden.got); n > 0 {
		t.Errorf("%d events came where the server did not allow it", n)
	}
	for name, text := range map[string]string{"own": own.text.String(), "theirs": theirs.text.String(), "the log": k.said.text(), "the page": page} {
		if strings.Contains(text, signingText()[6:]) || strings.Contains(text, string(signing)) {
			t.Errorf("the key is in %s", name)
		}
	}
}
