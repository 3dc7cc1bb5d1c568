package github

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"
)

// endless is a body without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
func (endless) Close() error               { return nil }

func TestAnswersHaveALimit(t *testing.T) {
	tr := bounded{tripFunc(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: endless{}}, nil
	})}
	resp, err := tr.RoundTrip(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var tooLarge *http.MaxBytesError
	if n, err := io.CopyN(io.Discard, resp.Body, 2*maxAnswer); n != maxAnswer || !errors.As(err, &tooLarge) {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

func TestReadsAreRedirectedAtTheSameHostOnly(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	mux := http.NewServeMux()
	mux.Handle("GET /there", http.RedirectHandler(other.URL, http.StatusFound))
	mux.Handle("GET /here", http.RedirectHandler("/end", http.StatusFound))
	mux.Handle("GET /round", http.RedirectHandler("/round", http.StatusFound))
	mux.HandleFunc("GET /end", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"id": 7}`) })
	server := httptest.NewServer(mux)
	defer server.Close()
	base, err := url.Parse(server.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	s := &session{http: httpClient(&bearer{token: "secret", next: &http.Transport{}}), base: base, gate: &gate{now: time.Now}}
	var got struct{ ID int }
	if _, err := s.get(t.Context(), "here", &got); err != nil || got.ID != 7 {
		t.Errorf("at the same host: %+v, %v", got, err)
	}
	for _, path := range []string{"there", "round"} {
		var f *failure
		if _, err := s.get(t.Context(), path, &got); !errors.As(err, &f) || !f.moved() {
			t.Errorf("%s: %v", path, err)
		}
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("another host got %d requests with our credential", n)
	}
}
