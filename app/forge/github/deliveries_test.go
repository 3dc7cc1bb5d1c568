package github

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app/forge/forgetest"
)

// missed are the events of what was missed.
func missed(t *testing.T, a *App, since time.Time, known func(string) bool) (events, guids []string) {
	t.Helper()
	for d, err := range a.Missed(t.Context(), since, known) {
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(d.Body) {
			t.Errorf("%s %s has no body", d.Event, d.GUID)
		}
		events, guids = append(events, d.Event), append(guids, d.GUID)
	}
	return events, guids
}

func TestMissed(t *testing.T) {
	s := newStage(t, 1)
	var down atomic.Bool
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer receiver.Close()
	settle := func() {
		t.Helper()
		if err := s.hub.Hooks.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s.hub.SetHook(receiver.URL)
	begin := s.hub.Clock.Now().Add(-time.Second)
	s.push(t)
	settle()
	down.Store(true)
	s.push(t)
	s.hub.Ping() // is not for the work of building
	s.there.OpenPull(t, forgetest.PullOptions{Branch: branch(t, s)})
	settle()
	none := func(string) bool { return false }
	events, guids := missed(t, s.app, begin, none)
	if want := []string{"push", "check_suite", "push", "check_suite", "pull_request"}; !slices.Equal(events, want) {
		t.Errorf("missed %v; want %v", events, want)
	}
	if events, _ := missed(t, s.app, begin, func(guid string) bool { return guid == guids[0] }); len(events) != 4 {
		t.Errorf("with one known: %v", events)
	}
	down.Store(false)
	s.again(t, guids[1])
	settle()
	if _, left := missed(t, s.app, begin, none); !slices.Equal(left, slices.Delete(slices.Clone(guids), 1, 2)) {
		t.Errorf("after one arrived: %v of %v", left, guids)
	}
	s.advance(time.Hour)
	if events, _ := missed(t, s.app, s.hub.Clock.Now().Add(-time.Minute), none); len(events) != 0 {
		t.Errorf("of the last minute: %v", events)
	}
}

// branch makes one to open a pull request of.
func branch(t *testing.T, s *stage) string {
	s.there.Push(t, "one", forgetest.Change{Files: map[string]string{"one": "x"}})
	return "one"
}

// again has GitHub send a delivery once more.
func (s *stage) again(t *testing.T, guid string) {
	t.Helper()
	failed, err := s.app.failed(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(failed, func(a attempt) bool { return a.GUID == guid })
	if i < 0 {
		t.Fatalf("%s is not in %v", guid, failed)
	}
	if _, err := s.app.self.ask(t.Context(), http.MethodPost, "app/hook/deliveries/"+jsonNumber(failed[i].ID)+"/attempts", nil, nil); err == nil {
		t.Fatal("go-github takes 202 for no answer; if it does not any more, this line may go")
	}
}

func jsonNumber(n int64) string {
	text, _ := json.Marshal(n)
	return string(text)
}

func TestMissedReadsAllPages(t *testing.T) {
	s := newStage(t, 1)
	s.hub.SetHook("http://127.0.0.1:1/")
	s.faults.Set(forgetest.Odds{Undelivered: 1})
	p := s.there.OpenPull(t, forgetest.PullOptions{Branch: branch(t, s)})
	const labels = 230
	for i := range labels {
		p.Label("wile", "l"+jsonNumber(int64(i)))
	}
	s.faults.Set(forgetest.Odds{})
	failed, err := s.app.failed(t.Context(), s.hub.Clock.Now().Add(-time.Hour))
	failed = slices.DeleteFunc(failed, func(a attempt) bool { return a.Event != "pull_request" })
	if err != nil || len(failed) != labels+1 {
		t.Errorf("%d failed, %v; want %d", len(failed), err, labels+1)
	}
}

func TestMissedEndsWithAnError(t *testing.T) {
	s := newStage(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n := 0
	for _, err := range s.app.Missed(ctx, time.Time{}, func(string) bool { return false }) {
		if n++; err == nil || n > 1 {
			t.Errorf("%d: %v", n, err)
		}
	}
	if n != 1 {
		t.Errorf("%d errors", n)
	}
}
