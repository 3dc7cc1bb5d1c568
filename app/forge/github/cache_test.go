package github

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

type tripFunc func(*http.Request) (*http.Response, error)

func (f tripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestCacheKeepsItsSize(t *testing.T) {
	c := newCache(100)
	for i := range 20 {
		c.keep(&entry{name: fmt.Sprint(i), etag: "e", body: make([]byte, 30)})
		c.find("0") // is used all the time
	}
	if c.size > 100 || len(c.byName) != 3 || c.order.Len() != 3 {
		t.Errorf("%d bytes in %d entries; want 90 in 3", c.size, len(c.byName))
	}
	if c.find("0") == nil || c.find("19") == nil || c.find("5") != nil {
		t.Error("what was used last is gone, or what was not is here")
	}
	c.keep(&entry{name: "0", body: make([]byte, 10)})
	if c.size != 70 {
		t.Errorf("%d bytes after one was replaced; want 70", c.size)
	}
}

func TestCachedAsksWhetherItChanged(t *testing.T) {
	version, full := "1", 0
	next := tripFunc(func(r *http.Request) (*http.Response, error) {
		resp := &http.Response{Header: http.Header{"Etag": {`"` + version + `"`}, "X-Left": {version}}, Request: r}
		if r.Header.Get("If-None-Match") == `"`+version+`"` {
			resp.StatusCode, resp.Body = http.StatusNotModified, http.NoBody
			return resp, nil
		}
		full++
		resp.StatusCode, resp.Body = http.StatusOK, io.NopCloser(strings.NewReader("body "+version))
		resp.Header.Set("Link", "next")
		return resp, nil
	})
	c := newCache(maxCache)
	get := func(owner int64) (string, http.Header) {
		t.Helper()
		req, err := http.NewRequest(http.MethodGet, "http://x/y?z", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&cached{next: next, cache: c, owner: owner}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%d, %v", resp.StatusCode, err)
		}
		return string(body), resp.Header
	}
	for i, want := range []string{"body 1", "body 1", "body 1"} {
		body, header := get(1)
		if body != want || full != 1 || header.Get("Link") != "next" {
			t.Fatalf("get %d = %q with %v after %d whole answers", i, body, header, full)
		}
	}
	if get(2); full != 2 {
		t.Errorf("another installation was shown what the first one was told")
	}
	version = "2"
	if body, _ := get(1); body != "body 2" || full != 3 {
		t.Errorf("after a change: %q", body)
	}
}

func TestCachedPassesLargeAnswersOn(t *testing.T) {
	large := strings.Repeat("x", maxEntry+10)
	next := tripFunc(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Etag": {"e"}}, Body: io.NopCloser(strings.NewReader(large))}, nil
	})
	c := newCache(maxCache)
	req, err := http.NewRequest(http.MethodGet, "http://x/y", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&cached{next: next, cache: c}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != large {
		t.Errorf("%d bytes came through; want %d", len(body), len(large))
	}
	if len(c.byName) != 0 {
		t.Error("a large answer was kept")
	}
}
