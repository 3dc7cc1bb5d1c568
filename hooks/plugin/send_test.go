package plugin

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
)

// A posted is what a listener was sent.
type posted struct {
	header http.Header
	body   []byte
}

// listen is a server that answers with a status and keeps what it was sent.
func listen(t *testing.T, answer http.HandlerFunc) (*httptest.Server, chan posted) {
	t.Helper()
	got := make(chan posted, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost {
			t.Errorf("%s, %v", r.Method, err)
		}
		got <- posted{r.Header, body}
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s, got
}

func taken(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// example is an event of a build that failed, of which texts are hostile.
func example(t *testing.T, last build.EventType) *Event {
	t.Helper()
	b, moves := build.New(request(1234, 2), noon)
	moves = append(moves, b.Open(noon.Add(time.Second))...)
	for i, m := range []build.Move{
		{Kind: build.Assign, Task: "s0t0", Builder: "b1"}, {Kind: build.Succeed, Task: "s0t0", Attempt: 1},
		{Kind: build.Assign, Task: "s0t1", Builder: "b1"}, {Kind: build.Begin, Task: "s0t1", Attempt: 1},
		{Kind: build.Fail, Task: "s0t1", Attempt: 1, Reason: "exit 2"},
	} {
		m.At = noon.Add(time.Duration(i+2) * time.Second)
		made, err := b.Do(m)
		if err != nil {
			t.Fatal(err)
		}
		moves = append(moves, made...)
	}
	tale := &build.Build{}
	var found *Event
	for _, m := range moves {
		events, err := tale.Apply(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.Type == last {
				found = describe(tale, e, m.At, func(id build.ID, task string) string {
					return strings.TrimSuffix("https://ci.example.com/builds/"+id.String()+"/"+task, "/")
				})
			}
		}
	}
	if found == nil {
		t.Fatalf("no %s", last)
	}
	return found
}

var key = []byte("0123456789abcdef0123456789abcdef")

// A webhook is signed as Standard Webhooks say, by whoever knows the key, and is a
// CloudEvent.
func TestWebhook(t *testing.T) {
	s, got := listen(t, taken)
	e := example(t, build.BuildFail)
	w := &Webhook{Client: NewClient(nil), URL: s.URL + "/hook?x=1", Key: key, Now: func() time.Time { return noon }}
	if err := w.Send(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	p := <-got
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(p.header.Get("webhook-id") + "." + p.header.Get("webhook-timestamp") + "." + string(p.body)))
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); p.header.Get("webhook-signature") != want {
		t.Errorf("signed %q, want %q", p.header.Get("webhook-signature"), want)
	}
	if p.header.Get("webhook-id") != e.ID || p.header.Get("webhook-timestamp") != "1795435200" || p.header.Get("Content-Type") != "application/cloudevents+json; charset=utf-8" {
		t.Errorf("header %v", p.header)
	}
	var read Event
	if err := json.Unmarshal(p.body, &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*e, read); diff != "" {
		t.Errorf("what was sent (-want +got):\n%s", diff)
	}
	w.Key = nil
	if err := w.Send(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if p := <-got; p.header.Get("webhook-signature") != "" {
		t.Error("signed without a key")
	}
}

// What cannot become better is refused, all else is an error, and none tells an
// address, which may be a secret.
func TestPostFails(t *testing.T) {
	const secret = "T00000000-B00000000"
	gone, _ := listen(t, taken)
	gone.Close()
	for name, tt := range map[string]struct {
		answer  http.HandlerFunc
		want    string
		refused bool
	}{
		"server error": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, secret, http.StatusServiceUnavailable) }, "it answered 503 Service Unavailable", false},
		"not found":    {http.NotFound, "it answered 404 Not Found", false},
		"gone":         {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusGone) }, "it answered 410 Gone", true},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, gone.URL, http.StatusTemporaryRedirect)
		}, "it answered 307 Temporary Redirect", true},
		"hung up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "no answer: EOF", false},
	} {
		s, _ := listen(t, tt.answer)
		err := (&Slack{Client: NewClient(nil), URL: s.URL + "/" + secret}).Send(t.Context(), example(t, build.BuildStart))
		var refused *RefusedError
		if err == nil || err.Error() != tt.want || errors.As(err, &refused) != tt.refused {
			t.Errorf("%s: %v, refused %v", name, err, errors.As(err, &refused))
		}
	}
	err := (&Slack{Client: NewClient(nil), URL: gone.URL + "/" + secret}).Send(t.Context(), example(t, build.BuildStart))
	if err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("nobody there: %v", err)
	}
}

// A control decides about each connection, whatever the name in the address.
func TestControl(t *testing.T) {
	s, got := listen(t, taken)
	client := NewClient(func(_, address string, _ syscall.RawConn) error { return refuse("not to %s", address) })
	err := (&Slack{Client: client, URL: strings.Replace(s.URL, "127.0.0.1", "localhost", 1)}).Send(t.Context(), example(t, build.BuildStart))
	var refused *RefusedError
	if !errors.As(err, &refused) || !strings.HasPrefix(refused.Why, "not to ") || len(got) > 0 {
		t.Errorf("%v, and %d came", err, len(got))
	}
}

func TestCheckURL(t *testing.T) {
	for address, plain := range map[string][2]bool{
		"https://example.com/x": {true, true}, "http://example.com/x": {false, true},
		"https://u:p@example.com/": {}, "https://": {}, "": {}, "file:///etc/passwd": {}, "https:example.com": {}, "gopher://x/": {}, "https://exa mple/%zz": {},
	} {
		if got := [2]bool{CheckURL(address, false) == nil, CheckURL(address, true) == nil}; got != plain {
			t.Errorf("%q: %v; want %v", address, got, plain)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add("whsec_" + base64.StdEncoding.EncodeToString(key))
	f.Add("whsec_!")
	f.Add(" whsec_AAAA\n")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := ParseKey(text)
		if err != nil {
			if _, same := ParseKey(""); err.Error() != same.Error() {
				t.Errorf("the error is about %q: %v", text, err)
			}
			return
		}
		if again, err := ParseKey(keyPrefix + base64.StdEncoding.EncodeToString(k)); err != nil || string(again) != string(k) {
			t.Errorf("%q is read as %q, %v", text, again, err)
		}
	})
}

// Whatever names and messages are, Slack is sent plain text within its limits, and
// nothing of it is markup.
func FuzzSlack(f *testing.F) {
	f.Add("<!channel> *bold* <https://evil.example|safe>", "exit 1")
	f.Add(strings.Repeat("\u202e", 4000), "\xff\x00")
	f.Fuzz(func(t *testing.T, name, reason string) {
		e := example(t, build.TaskFail)
		e.Data.Task.Name, e.Data.Task.Reason, e.Data.Build.Subject, e.Data.Build.Author = name, reason, name, reason
		m := message(e)
		if strings.ContainsAny(m.Text, "<>") {
			t.Errorf("markup in %q", m.Text)
		}
		check := func(x slackText, most int) {
			if n := utf8.RuneCountInString(x.Text); x.Type != "plain_text" || n == 0 || n > most || !utf8.ValidString(x.Text) {
				t.Errorf("a text of %d characters: %+v", n, x)
			}
		}
		for _, b := range m.Blocks {
			if b.Text != nil {
				check(*b.Text, map[string]int{"header": maxHeader, "section": maxSection}[b.Type])
			}
			for _, x := range b.Fields {
				check(x, maxField)
			}
			for _, x := range b.Elements {
				check(x.Text, 75)
			}
			if len(b.Fields) > 10 {
				t.Errorf("%d fields", len(b.Fields))
			}
		}
	})
}

// What is known to be a secret is in no text of an event, and the event is not
// changed for others.
func TestMasked(t *testing.T) {
	e := example(t, build.TaskFail)
	before := *e.Data.Task
	m, err := maskerOf([]string{"exit 2 hunter22", "hunter22"})
	if err != nil {
		t.Fatal(err)
	}
	e.Data.Task.Reason, e.Data.Task.Name = "exit 1: hunter22", "hunter22"
	b := &e.Data.Build
	for _, text := range []*string{&b.Repository, &b.Name, &b.Reason, &b.Ref, &b.Target, &b.Author, &b.Subject} {
		*text += " hunter22"
	}
	text, err := json.Marshal(e.masked(m.String))
	if err != nil || strings.Contains(string(text), "hunter22") {
		t.Errorf("%s, %v", text, err)
	}
	if e.Data.Task.Reason != "exit 1: hunter22" || before.Key != e.Data.Task.Key {
		t.Errorf("the event was changed: %+v", e.Data.Task)
	}
}

// program writes an executable script.
func program(t *testing.T, script string) *Exec {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return &Exec{Path: path}
}
