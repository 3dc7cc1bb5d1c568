package web_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/storage/roster"
)

// Every page has the headers that keep what is on it from doing anything.
func TestHeaders(t *testing.T) {
	r := newRig(t)
	secret, _ := r.token(roster.Admin)
	session := r.signIn(secret)
	for path, policy := range map[string]string{
		"/": "script-src 'self'", "/login": "script-src 'self'", "/queue": "frame-ancestors 'none'", "/builders": "base-uri 'none'",
		"/builds?repository=shop": "default-src 'none'", "/builds/aaaaaa-7": "style-src 'self'", "/builds/aaaaaa-8": "form-action 'self'",
		"/builds/aaaaaa-7/plan": "default-src 'none'", "/builds/aaaaaa-7/log/s0t0?line=x": "default-src", "/builds/aaaaaa-7/events": "default-src 'none'",
		"/builds/aaaaaa-7/log/s0t0": "connect-src 'self'", "/builds/aaaaaa-7/log/s0t0/raw": "sandbox",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.AddCookie(session)
		resp, err := r.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		h := resp.Header
		if got := h.Get("Content-Security-Policy"); !strings.Contains(got, policy) || strings.Contains(got, "unsafe") {
			t.Errorf("%s: the policy is %q; want %q in it", path, got, policy)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "same-origin" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: the headers are %v", path, h)
		}
	}
}

var (
	shownLine = regexp.MustCompile(`id="L(\d+)"`)
	lineText  = regexp.MustCompile(`<span class="c">([^<]*)</span>`)
	anchor    = regexp.MustCompile(`<a rel="(prev|next)" href="([^"]*)"`)
)

// A long log is shown in windows, which lead to each other and hold each line once.
func TestLogWindows(t *testing.T) {
	r := newRig(t)
	var want []string
	for i := range 20_000 {
		want = append(want, fmt.Sprintf("%d %s", i, strings.Repeat("x", i%100)))
	}
	r.clerks["shop"].printed = strings.Join(want, "\n")
	want = slices.Insert(want, 0, "aaaaaa")
	secret, _ := r.token(roster.Read)
	session := r.signIn(secret)
	const page = "/builds/aaaaaa-7/log/s0t0"
	open := func(query string) (text string, first string, lines []string, to map[string]string) {
		t.Helper()
		status, text := r.visit("GET", page+query, session)
		if status != http.StatusOK {
			t.Fatalf("%s: %d", query, status)
		}
		if m := shownLine.FindStringSubmatch(text); m != nil {
			first = m[1]
		}
		for _, m := range lineText.FindAllStringSubmatch(text, -1) {
			lines = append(lines, m[1])
		}
		to = map[string]string{}
		for _, m := range anchor.FindAllStringSubmatch(text, -1) {
			to[m[1]] = strings.ReplaceAll(m[2], "&amp;", "&")
		}
		return text, first, lines, to
	}
	var got []string
	for query := ""; ; {
		_, _, lines, to := open(query)
		got = append(got, lines...)
		if query = to["next"]; query == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("all windows together have %d lines; want %d", len(got), len(want))
	}
	for _, n := range []int{2, 999, 12_345, 19_999, 20_001} {
		if _, first, lines, _ := open(fmt.Sprintf("?line=%d", n)); first != fmt.Sprint(n) || lines[0] != want[n-1] {
			t.Errorf("the window from line %d begins with %s, %q; want %q", n, first, lines[0], want[n-1])
		}
	}
	if _, _, lines, to := open("?end=1"); lines[len(lines)-1] != want[20_000] || to["next"] != "" {
		t.Errorf("the last window ends with %q and leads to %q", lines[len(lines)-1], to["next"])
	}
	if text, _, lines, _ := open("?line=20002"); lines != nil || !strings.Contains(text, "no such log") {
		t.Errorf("behind the end there are %d lines", len(lines))
	}
	if text, _, _, _ := open("?q=12345+X"); !strings.Contains(text, `href="?attempt=1&amp;line=12327#L12347"`) || !strings.Contains(text, "1 line with") {
		t.Error("the search does not find line 12347")
	}
	if text, _, _, _ := open("?q=nosuch"); !strings.Contains(text, "No line has") {
		t.Error("what is not there is found")
	}
	if text, _, _, _ := open("?times=1&line=2"); !strings.Contains(text, `<span class="t">0.007</span>`) {
		t.Error("the second line came at its time, which is not shown")
	}
	if status, text := r.visit("GET", page+"/raw", session); status != 200 || text != strings.Join(want, "\n") {
		t.Errorf("raw, the log is %d bytes, with status %d", len(text), status)
	}
}

// One line of many megabytes is cut, and what follows it is still there.
func TestLogOfOneLine(t *testing.T) {
	r := newRig(t)
	r.clerks["shop"].printed = strings.Repeat("x", 5<<20) + "\nlast"
	secret, _ := r.token(roster.Read)
	session := r.signIn(secret)
	_, text := r.visit("GET", "/builds/aaaaaa-7/log/s0t0", session)
	if len(text) > 200<<10 || !strings.Contains(text, "the line is longer") {
		t.Errorf("the page has %d bytes", len(text))
	}
	if _, text := r.visit("GET", "/builds/aaaaaa-7/log/s0t0?line=3", session); !strings.Contains(text, ">last<") {
		t.Errorf("the last line is not there")
	}
}

// Streams under one token are bounded; those under others, and pages, are not.
func TestStreamsAreBounded(t *testing.T) {
	r := newRig(t)
	r.front.Streams = 1
	reading := make(chan struct{})
	r.clerks["shop"].reading = reading
	secret, _ := r.token(roster.Read)
	other, _ := r.token(roster.Read)
	session := r.signIn(secret)
	ctx, leave := context.WithCancel(t.Context())
	over := make(chan struct{})
	defer func() { leave(); <-over }()
	go func() {
		defer close(over)
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, r.url+api.PathBuild+"7/follow?repository=shop", nil)
		req.Header.Set("Authorization", "Bearer "+secret)
		if resp, err := r.http.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}()
	<-reading // it is open, and stays so
	const live = "/builds/aaaaaa-7/live"
	if status, _ := r.visit("GET", live, session); status != http.StatusTooManyRequests {
		t.Errorf("a second stream: %d", status)
	}
	if status, _ := r.visit("GET", live, r.signIn(other)); status != http.StatusOK {
		t.Errorf("a stream under another token: %d", status)
	}
	if status, _ := r.visit("GET", "/", session); status != http.StatusOK {
		t.Errorf("a page beside a stream: %d", status)
	}
}

// Who may read a repository that has another name now sees it under that; who may
// read one of the name that it has taken does not see it.
func TestPagesOfRenamed(t *testing.T) {
	r := newRig(t)
	r.sites["shop"].Rename("store")
	for repository, want := range map[string]bool{"shop": true, "store": false, "bank": false} {
		secret, _ := r.token(roster.Read, repository)
		session := r.signIn(secret)
		_, home := r.visit("GET", "/", session)
		build, _ := r.visit("GET", "/builds/aaaaaa-7", session)
		list, _ := r.visit("GET", "/builds?repository=store", session)
		if got := strings.Contains(home, ">store<"); got != want || (build == 200) != want || (list == 200) != want {
			t.Errorf("with a token of %s: in the list %t, its build %d, its builds %d; want %t", repository, got, build, list, want)
		}
	}
}
