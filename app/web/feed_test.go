package web_test

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage/roster"
)

// A node is an element of a feed.
type node struct {
	Name  string
	Attrs map[string]string
	Text  string
	Kids  []*node
}

func (n *node) all(name string) (found []*node) {
	for _, kid := range n.Kids {
		if kid.Name == name {
			found = append(found, kid)
		}
	}
	return found
}

// one is the text of the one element of a name.
func (n *node) one(t *testing.T, name string) string {
	t.Helper()
	found := n.all(name)
	if len(found) != 1 {
		t.Fatalf("%s has %d elements %s", n.Name, len(found), name)
	}
	return found[0].Text
}

// parse reads a document that has elements of Atom only, and nothing beside them.
func parse(t *testing.T, text string) *node {
	t.Helper()
	dec := xml.NewDecoder(strings.NewReader(text))
	top := &node{}
	path := []*node{top}
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		in := path[len(path)-1]
		switch token := token.(type) {
		case xml.StartElement:
			if token.Name.Space != "http://www.w3.org/2005/Atom" {
				t.Fatalf("an element %v", token.Name)
			}
			kid := &node{Name: token.Name.Local, Attrs: map[string]string{}}
			for _, a := range token.Attr {
				kid.Attrs[a.Name.Local] = a.Value
			}
			in.Kids = append(in.Kids, kid)
			path = append(path, kid)
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			in.Text += string(token)
		case xml.ProcInst:
			if token.Target != "xml" {
				t.Fatalf("an instruction %s", token.Target)
			}
		default:
			t.Fatalf("a token %#v", token)
		}
	}
	if len(top.Kids) != 1 || top.Kids[0].Name != "feed" {
		t.Fatalf("the document is %+v", top)
	}
	return top.Kids[0]
}

// By RFC 4287 and RFC 4151.
var (
	allowed = map[string][]string{
		"feed": {"id", "title", "updated", "author", "link", "entry"}, "entry": {"id", "title", "updated", "published", "author", "link", "summary"},
		"author": {"name"},
	}
	tagURI = regexp.MustCompile(`^tag:[a-z0-9.-]+,\d{4}(-\d\d-\d\d)?:[A-Za-z0-9._~!$&'()*+,;=:@/?%-]+$`)
)

// strict finds what of a feed, or an entry, is not as it must be. ids are those seen.
func strict(t *testing.T, n *node, ids map[string]bool) {
	t.Helper()
	for _, kid := range n.Kids {
		if !slices.Contains(allowed[n.Name], kid.Name) {
			t.Errorf("%s has an element %s", n.Name, kid.Name)
		}
	}
	id := n.one(t, "id")
	if !tagURI.MatchString(id) || ids[id] {
		t.Errorf("the id of a %s is %q, which is no tag or there twice", n.Name, id)
	}
	ids[id] = true
	if n.one(t, "title") == "" || len(n.all("author")) != 1 || n.all("author")[0].one(t, "name") == "" {
		t.Errorf("a %s has no title or author: %+v", n.Name, n)
	}
	if _, err := time.Parse(time.RFC3339, n.one(t, "updated")); err != nil {
		t.Error(err)
	}
	rels := map[string]int{}
	for _, link := range n.all("link") {
		if u, err := url.Parse(link.Attrs["href"]); err != nil || !u.IsAbs() || link.Attrs["type"] == "" {
			t.Errorf("a link is %v", link.Attrs)
		}
		rels[link.Attrs["rel"]]++
	}
	if rels["alternate"] != 1 || (rels["self"] == 1) != (n.Name == "feed") {
		t.Errorf("a %s has the links %v", n.Name, rels)
	}
	for _, entry := range n.all("entry") {
		strict(t, entry, ids)
	}
}

// The feed has the builds that are over, in a form that readers of feeds take.
func TestFeed(t *testing.T) {
	r := newRig(t)
	r.front.URL = "https://ci.example.com/"
	first, second := made(1, "default", 'a', build.Failed), made(2, "<b>&default", 'b', build.Succeeded)
	first.Subject, first.Author = "Sell\x00 \u202ethings</summary><script>", ""
	second.Finished, second.Author = noon.Add(time.Minute), `Ada "<ada@example.com>`
	asked := r.shows("octo/wörld &", true, made(3, "default", 'c', build.Building), first, second)
	secret, _ := r.token(roster.Read)
	bearer := func(req *http.Request) { req.Header.Set("Authorization", "Bearer "+secret) }
	name := url.QueryEscape("octo/wörld &")
	resp, text := r.open("/feed?repository="+name+"&ref=trunk", bearer)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "application/atom+xml" || resp.Header.Get("Cache-Control") != "private, max-age=60" {
		t.Fatalf("%d %v %s", resp.StatusCode, resp.Header, text)
	}
	feed := parse(t, text)
	strict(t, feed, map[string]bool{})
	if q := (*asked)[0]; q.Ref != "trunk" || q.Limit != "50" {
		t.Errorf("asked for %+v", q)
	}
	got := map[string]string{}
	for _, n := range append([]*node{feed}, feed.all("entry")...) {
		got[n.one(t, "id")] = strings.Join([]string{n.one(t, "updated"), n.one(t, "title"), n.all("author")[0].one(t, "name")}, "|")
	}
	want := map[string]string{
		"tag:ci.example.com,2026:velocity/feed/octo%2Fw%C3%B6rld%20&?ref=trunk": "2026-11-22T12:01:00.000Z|Builds of octo/wörld &|Velocity",
		"tag:ci.example.com,2026-11-22:velocity/build/cccccc-1":                 "2026-11-22T12:00:00.000Z|failed: default on trunk|unknown",
		"tag:ci.example.com,2026-11-22:velocity/build/cccccc-2":                 `2026-11-22T12:01:00.000Z|succeeded: <b>&default on trunk|Ada "<ada@example.com>`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the feed (+) is not as it should be (-):\n%s", diff)
	}
	entries := feed.all("entry")
	if id := entries[0].one(t, "id"); !strings.HasSuffix(id, "-2") {
		t.Errorf("the first is %s; want what ended last", id)
	}
	if said := entries[1].one(t, "summary"); !strings.Contains(said, "Sell U+202Ethings</summary><script>") {
		t.Errorf("the summary is %q", said)
	}
	if href := entries[0].all("link")[0].Attrs["href"]; href != "https://ci.example.com/builds/cccccc-2" {
		t.Errorf("the entry leads to %s", href)
	}
	if again, _ := r.open("/feed?repository="+name+"&ref=trunk", func(req *http.Request) {
		bearer(req)
		req.Header.Set("If-None-Match", resp.Header.Get("ETag"))
	}); again.StatusCode != http.StatusNotModified {
		t.Errorf("asked again: %d", again.StatusCode)
	}
}

// A feed with nothing in it is one as well, also of a server that does not know its
// address.
func TestEmptyFeed(t *testing.T) {
	r := newRig(t)
	r.shows("octo/world", true)
	secret, _ := r.token(roster.Read)
	_, text := r.open("/feed?repository=octo/world", func(req *http.Request) { req.SetBasicAuth("", secret) })
	feed := parse(t, text)
	strict(t, feed, map[string]bool{})
	if got := feed.one(t, "id"); got != "tag:127.0.0.1,2026:velocity/feed/octo%2Fworld" || feed.one(t, "updated") != "1970-01-01T00:00:00.000Z" {
		t.Errorf("the feed is %s, of %s", got, feed.one(t, "updated"))
	}
	if self := feed.all("link")[0].Attrs["href"]; self != r.url+"/feed?repository=octo%2Fworld" {
		t.Errorf("the feed is at %s", self)
	}
}

// A reader of feeds has a token as its password; whoever has none is asked for it.
func TestFeedNeedsReading(t *testing.T) {
	r := newRig(t)
	reads, _ := r.token(roster.Read)
	other, _ := r.token(roster.Read, "bank")
	for who, c := range map[string]struct {
		with func(*http.Request)
		want int
	}{
		"nobody":     {nil, 401},
		"a password": {func(req *http.Request) { req.SetBasicAuth("ann", reads) }, 200},
		"a token":    {func(req *http.Request) { req.Header.Set("Authorization", "Bearer "+reads) }, 200},
		"a session":  {func(req *http.Request) { req.AddCookie(r.signIn(reads)) }, 200},
		"another's":  {func(req *http.Request) { req.SetBasicAuth("ann", other) }, 404},
		"nonsense":   {func(req *http.Request) { req.SetBasicAuth("ann", "vla_x") }, 401},
		"another scheme": {func(req *http.Request) {
			req.Header.Set("Authorization", "Digest x")
			req.AddCookie(r.signIn(reads)) // what is said outright counts
		}, 401},
	} {
		resp, text := r.open("/feed?repository=shop", c.with)
		asks := strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Basic ")
		if resp.StatusCode != c.want || asks != (c.want == 401) || strings.Contains(text, "aaaaaa") != (c.want == 200) {
			t.Errorf("%s: %d %v %s; want %d", who, resp.StatusCode, resp.Header, text, c.want)
		}
	}
	// A password opens nothing else: browsers send it wherever another site has them ask.
	for _, path := range []string{"/api/v1/self", "/builds?repository=shop"} {
		if resp, _ := r.open(path, func(req *http.Request) { req.SetBasicAuth("ann", reads) }); resp.StatusCode == http.StatusOK {
			t.Errorf("%s takes a password", path)
		}
	}
	if resp, _ := r.open("/feed?repository=shop&stat=x", func(req *http.Request) { req.SetBasicAuth("ann", reads) }); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a misspelt parameter: %d", resp.StatusCode)
	}
}
