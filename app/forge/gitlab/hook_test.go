package gitlab

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/app/forge/forgetest"
)

// A receiver takes webhooks, or refuses them while it is down.
type receiver struct {
	*httptest.Server
	down atomic.Bool
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		if r.down.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (s *stage) settle(t *testing.T) {
	t.Helper()
	if err := s.lab.Hooks.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestConnectProject(t *testing.T) {
	s := newStage(t, 1)
	const address = "https://ci.example.com/hooks/gitlab"
	_, err := s.gitlab.ConnectProject(t.Context(), s.project.ID, address, "s3cret", ProjectEvents)
	wantKind(t, "as a Developer", err, forge.ErrForbidden)
	if !strings.Contains(err.Error(), "Maintainer") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("it does not say what to do, or too much: %v", err)
	}
	s.there.Member("velocity", 40, time.Time{})
	_, err = s.gitlab.ProjectHook(t.Context(), s.project.ID, address)
	wantKind(t, "before it is connected", err, forge.ErrGone)
	for _, secret := range []string{"old", "new"} {
		h, err := s.gitlab.ConnectProject(t.Context(), s.project.ID, address+"/"[:len(secret)%2], secret, ProjectEvents)
		if err != nil || h.ID == 0 || h.Disabled {
			t.Fatalf("%+v, %v", h, err)
		}
	}
	all := s.lab.AllHooks(s.there)
	want := []forgetest.LabHook{{
		ID: all[0].ID, URL: address + "/", Token: "new", Alert: "executable",
		Events: []string{"merge_requests_events", "note_events", "push_events", "tag_push_events"},
	}}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("webhooks (-want +got):\n%s", diff)
	}
	if _, err := s.gitlab.ConnectProject(t.Context(), s.project.ID, address, "new", []Events{MergeEvents}); err != nil {
		t.Fatal(err)
	}
	if all = s.lab.AllHooks(s.there); len(all) != 1 || !cmp.Equal(all[0].Events, []string{"merge_requests_events"}) {
		t.Errorf("webhooks %+v", all)
	}
	for _, bad := range [][2]string{{"ftp://x", "s"}, {"/hooks", "s"}, {address, ""}} {
		_, err := s.gitlab.ConnectProject(t.Context(), s.project.ID, bad[0], bad[1], ProjectEvents)
		wantKind(t, bad[0], err, forge.ErrInvalid)
	}
}

func TestConnectAfterALostAnswer(t *testing.T) {
	s := newStage(t, 1)
	s.there.Member("velocity", 40, time.Time{})
	s.inject(forgetest.Mishap{Kind: forgetest.Cut}, 1)
	for try := range 2 {
		_, err := s.gitlab.ConnectProject(t.Context(), s.project.ID, "https://ci.example.com", "s", ProjectEvents)
		if (err == nil) != (try == 1) {
			t.Errorf("try %d: %v", try, err)
		}
	}
	if all := s.lab.AllHooks(s.there); len(all) != 1 {
		t.Errorf("webhooks %+v", all)
	}
}

func TestConnectSystem(t *testing.T) {
	s := newStage(t, 1)
	_, err := s.gitlab.ConnectSystem(t.Context(), "https://ci.example.com", "s", SystemEvents)
	wantKind(t, "as no administrator", err, forge.ErrForbidden)
	if !strings.Contains(err.Error(), "administrator") {
		t.Errorf("it does not say what to do: %v", err)
	}
	s.lab.Admin("velocity")
	for range 2 {
		if _, err := s.gitlab.ConnectSystem(t.Context(), "https://ci.example.com", "s", SystemEvents); err != nil {
			t.Fatal(err)
		}
	}
	all := s.lab.AllHooks(nil)
	want := []string{"merge_requests_events", "push_events", "repository_update_events", "tag_push_events"}
	if len(all) != 1 || !cmp.Equal(all[0].Events, want) {
		t.Errorf("system hooks %+v", all)
	}
}

func TestADisabledWebhookIsRevived(t *testing.T) {
	s := newStage(t, 1)
	s.there.Member("velocity", 40, time.Time{})
	at := newReceiver(t)
	connect := func() (Hook, error) {
		return s.gitlab.ConnectProject(t.Context(), s.project.ID, at.URL, "s", ProjectEvents)
	}
	if _, err := connect(); err != nil {
		t.Fatal(err)
	}
	at.down.Store(true)
	fail := func() {
		s.there.Push(t, "main", forgetest.Change{Files: map[string]string{"n": time.Now().String()}})
		s.settle(t)
	}
	health := func() Hook {
		h, err := s.gitlab.ProjectHook(t.Context(), s.project.ID, at.URL)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	for range 3 {
		fail()
	}
	if h := health(); h.Disabled {
		t.Errorf("after three failures: %+v", h)
	}
	fail()
	if h := health(); !h.Disabled || h.Until.Sub(s.lab.Clock.Now()) > time.Minute {
		t.Errorf("after four failures: %+v", h)
	}
	for range 36 {
		s.lab.Clock.Advance(25 * time.Hour)
		fail()
	}
	if h := health(); !h.Disabled || !h.Until.IsZero() {
		t.Errorf("after forty failures: %+v", h)
	}
	if h, err := connect(); err == nil || !h.Disabled || !strings.Contains(err.Error(), "disabled") {
		t.Errorf("connected while it fails: %+v, %v", h, err)
	}
	at.down.Store(false)
	if h, err := connect(); err != nil || h.Disabled {
		t.Errorf("connected again: %+v, %v", h, err)
	}
	if h := health(); h.Disabled {
		t.Errorf("after that: %+v", h)
	}
}

func TestMissed(t *testing.T) {
	s := newStage(t, 1)
	s.there.Member("velocity", 40, time.Time{})
	at := newReceiver(t)
	h, err := s.gitlab.ConnectProject(t.Context(), s.project.ID, at.URL, "s3cret", ProjectEvents)
	if err != nil {
		t.Fatal(err)
	}
	push := func(name string) {
		s.there.Push(t, "main", forgetest.Change{Message: name, Files: map[string]string{"n": name}})
		s.settle(t)
	}
	push("arrives")
	at.down.Store(true)
	push("first")
	push("second")
	at.down.Store(false)
	for n := range 20 {
		push(strings.Repeat("x", n+1))
	}
	s.faults.Set(forgetest.Odds{Undelivered: 1})
	push("third")
	missed, err := s.gitlab.Missed(t.Context(), s.project.ID, h.ID, func(string) bool { return false })
	if err != nil || len(missed) != 3 {
		t.Fatalf("%d missed, %v; want 3", len(missed), err)
	}
	for i, name := range []string{"first", "second", "third"} {
		d := missed[i]
		if !strings.Contains(string(d.Body), `"message":"`+name+`"`) || d.Header.Get("X-Gitlab-Event") != "Push Hook" ||
			d.Header.Get("X-Gitlab-Token") != "" || d.Key == "" {
			t.Errorf("%d: %+v", i, d)
		}
	}
	known := missed[1].Key
	missed, err = s.gitlab.Missed(t.Context(), s.project.ID, h.ID, func(key string) bool { return key == known })
	if err != nil || len(missed) != 2 || missed[1].Key == known {
		t.Errorf("%d missed, %v; want those that are not here", len(missed), err)
	}
	_, err = s.gitlab.Missed(t.Context(), s.project.ID, h.ID+1000, nil)
	wantKind(t, "of a webhook that is gone", err, forge.ErrGone)
}

func TestArrived(t *testing.T) {
	for status, want := range map[string]bool{
		`"200"`: true, `201`: true, `"204"`: true, `"500"`: false, `404`: false, `"internal error"`: false, `null`: false, ``: false, `"20"`: false,
	} {
		if got := (event{Status: []byte(status)}).arrived(); got != want {
			t.Errorf("status %s arrived: %v", status, got)
		}
	}
}
