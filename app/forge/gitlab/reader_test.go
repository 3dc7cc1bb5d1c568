package gitlab

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
)

// A reader's token goes to the project's commits, by the project's number, and ours
// does not go along.
func TestCanRead(t *testing.T) {
	status := map[string]int{"reader": 200, "guest": 403, "stranger": 404, "dead": 401, "broken": 502, "limited": 429}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/api/v4/projects/7/repository/commits" || r.Header.Get("Private-Token") != "" {
			t.Errorf("%s %s is asked", r.Method, r.URL)
		}
		known, ok := status[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
		if !ok {
			t.Errorf("%q is sent", r.Header.Get("Authorization"))
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(known)
		_, _ = w.Write([]byte("[]"))
	}))
	defer s.Close()
	g, err := Open(Options{URL: s.URL, Token: NewToken("ours"), Transport: s.Client().Transport, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	r := forge.Repository{Key: key(7), Name: "group/sub"}
	for token, want := range map[string]struct{ may, unsure bool }{
		"reader": {may: true}, "guest": {}, "stranger": {}, "dead": {}, "": {}, "a b": {}, "broken": {unsure: true}, "limited": {unsure: true},
	} {
		got, err := g.CanRead(t.Context(), r, token)
		if got != want.may || (err != nil) != want.unsure || err != nil && strings.Contains(err.Error(), "Bearer") {
			t.Errorf("CanRead with the token %q: %v, %v; want %+v", token, got, err, want)
		}
	}
	if err := g.gate.open(); err != nil {
		t.Errorf("their limit is ours: %v", err)
	}
}
