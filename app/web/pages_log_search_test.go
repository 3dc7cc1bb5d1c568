package web_test

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/velocity-ci/velocity/storage/roster"
)

var (
	foundLine    = regexp.MustCompile(`<li><a href="[^"]*#L(\d+)">`)
	otherMatches = regexp.MustCompile(`<a href="(\?[^"]*q=[^"]*)">(First matches|Earlier matches|Later matches|Search the rest)</a>`)
)

// Matches are shown in pages, which lead from the first to the last and back, and
// hold each match once.
func TestSearchPages(t *testing.T) {
	r := newRig(t)
	var text strings.Builder
	var want []string
	for i := 1; i <= 30_000; i++ {
		word := "hay"
		if i%29 == 0 || i > 29_990 {
			word = "Need\x1b[31mle"
			want = append(want, fmt.Sprint(i))
		}
		fmt.Fprintf(&text, "%d %s %s\n", i, word, strings.Repeat("-", i%200))
	}
	_, path := r.record(strings.TrimSuffix(text.String(), "\n"))
	secret, _ := r.token(roster.Read)
	session := r.signIn(secret)
	look := func(query string) (found []string, to map[string]string) {
		t.Helper()
		status, text := r.visit("GET", path+query, session)
		if status != http.StatusOK {
			t.Fatalf("%s: %d", query, status)
		}
		for _, m := range foundLine.FindAllStringSubmatch(text, -1) {
			found = append(found, m[1])
		}
		to = map[string]string{}
		for _, m := range otherMatches.FindAllStringSubmatch(text, -1) {
			to[m[2]] = html.UnescapeString(m[1])
		}
		return found, to
	}
	var got, back []string
	last := ""
	for query := "?q=nEEDLE"; query != ""; {
		found, to := look(query)
		got, last, query = append(got, found...), query, to["Later matches"]
	}
	if !slices.Equal(got, want) {
		t.Fatalf("forwards, %d matches are found; want %d", len(got), len(want))
	}
	for query := last; query != ""; {
		found, to := look(query)
		back, query = append(found, back...), to["Earlier matches"]
	}
	if !slices.Equal(back, want) {
		t.Errorf("backwards, %d matches are found; want %d", len(back), len(want))
	}
	_, to := look(last)
	if found, to := look(to["First matches"]); !slices.Equal(found, want[:len(found)]) || to["Earlier matches"]+to["First matches"] != "" {
		t.Errorf("the first matches are %v, and lead to %v", found, to)
	}
}

// A search looks through so much of a log, and offers to go on.
func TestSearchIsBounded(t *testing.T) {
	r := newRig(t)
	long, path := r.record(strings.Repeat(strings.Repeat("x", 1<<20-1)+"\n", 130) + "here\n")
	secret, _ := r.token(roster.Read)
	session := r.signIn(secret)
	_, text := r.visit("GET", path+"?q=here", session)
	rest := otherMatches.FindStringSubmatch(text)
	if rest == nil || rest[2] != "Search the rest" || !strings.Contains(text, "as far as was searched") {
		t.Fatalf("after %d of %d bytes the search leads to %q", long.read.Load(), len(long.text), rest)
	}
	if _, text := r.visit("GET", path+html.UnescapeString(rest[1]), session); !strings.Contains(text, "#L131") {
		t.Error("what is behind the bound is not found from there")
	}
}

// Of a log that is over any part can be had.
func TestRawRanges(t *testing.T) {
	r := newRig(t)
	long, path := r.record(strings.Repeat("0123456789abcdef", 1<<17))
	long.size = int64(len(long.text))
	secret, _ := r.token(roster.Read)
	session := r.signIn(secret)
	get := func(span string) (status int, size int64, text string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+path+"/raw", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.AddCookie(session)
		if span != "" {
			req.Header.Set("Range", "bytes="+span)
		}
		resp, text := r.receive(req)
		_ = resp.Body.Close() // it was read
		return resp.StatusCode, resp.ContentLength, text
	}
	for span, want := range map[string]string{
		"": long.text, "0-0": "0", "1048570-1048590": long.text[1048570:1048591], "-5": "bcdef", "2097151-": "f",
	} {
		if status, size, text := get(span); text != want || size != int64(len(want)) {
			t.Errorf("bytes %q: %d, %d bytes said, %d come; want %d", span, status, size, len(text), len(want))
		}
	}
	if status, _, _ := get("9999999-"); status != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("behind the end: %d", status)
	}
	long.text = long.text[:100] // it is not what was said
	if status, _, text := get(""); status != http.StatusOK || text != long.text {
		t.Errorf("of a log that is shorter than was said: %d, %d bytes", status, len(text))
	}
}
