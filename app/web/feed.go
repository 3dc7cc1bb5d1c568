package web

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/web/page"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/roster"
)

// An atomFeed is a feed by RFC 4287, with what ours have.
type atomFeed struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	ID      string      `xml:"id"`
	Title   string      `xml:"title"`
	Updated string      `xml:"updated"`
	Author  string      `xml:"author>name"`
	Links   []atomLink  `xml:"link"`
	Entries []atomEntry `xml:"entry"`
}

type atomEntry struct {
	ID        string   `xml:"id"`
	Title     string   `xml:"title"`
	Published string   `xml:"published"`
	Updated   string   `xml:"updated"`
	Author    string   `xml:"author>name"`
	Link      atomLink `xml:"link"`
	Summary   string   `xml:"summary"`
}

type atomLink struct {
	Rel  string `xml:"rel,attr"`
	Type string `xml:"type,attr"`
	Href string `xml:"href,attr"`
}

const (
	atomKind = "application/atom+xml"
	htmlKind = "text/html"
)

// feedLength is how many of the newest builds a feed looks at.
const feedLength = 50

// feed answers with the newest builds that are over, as the list of builds selects
// them: an entry does not change any more once it is there.
func (f *Front) feed(w http.ResponseWriter, r *http.Request, s *Server) {
	q, err := api.ParseQuery(r.URL.Query())
	if err != nil {
		s.problem(w, http.StatusBadRequest, err)
		return
	}
	q.Limit, q.Before = strconv.Itoa(feedLength), ""
	builds, err := s.Builds(r.Context(), q)
	if err != nil && len(builds) == 0 {
		s.problem(w, http.StatusBadRequest, err)
		return
	}
	if err != nil { // those that cannot be read do not hide the others
		s.Log.Warn("builds left out of a feed", "repo", s.Site.Called(), "err", err)
	}
	var out bytes.Buffer
	out.WriteString(xml.Header)
	if err := xml.NewEncoder(&out).Encode(feedOf(f.address(r), s, q, builds)); err != nil {
		f.Log.Error("feed not written", "repo", s.Site.Called(), "err", err)
		s.problem(w, http.StatusInternalServerError, errors.New("the server could not do it; its log says why"))
		return
	}
	guarded(w)
	w.Header().Set("Cache-Control", "private, max-age=60")
	w.Header().Set("Vary", "Authorization, Cookie")
	known(w, r, atomKind, out.Bytes())
}

// address is where whoever asks reaches this server.
func (f *Front) address(r *http.Request) string {
	if f.URL != "" {
		return strings.TrimSuffix(f.URL, "/")
	}
	if r.TLS != nil || f.Sessions != nil && f.Sessions.Secure {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// tagSince is the year in the ids of feeds: by RFC 4151 a day on which whoever has
// the server's name had it.
const tagSince = "2026"

var dnsName = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?$`)

// tag is a tag URI of something at an address. It stays what it is when a repository
// is given another name, and on another port.
func tag(address, day, what string) string {
	authority := "localhost" // of addresses that are no name in the DNS, such as those of IPv6
	if u, err := url.Parse(address); err == nil && dnsName.MatchString(u.Hostname()) {
		authority = strings.ToLower(u.Hostname())
	}
	return "tag:" + authority + "," + day + ":velocity/" + what
}

// feedOf is the feed of builds that a query has selected.
func feedOf(address string, s *Server, q api.Query, builds []*build.Build) atomFeed {
	q.Limit = ""
	own, about := url.PathEscape(s.Site.Identity()), q.Values()
	if len(about) > 0 {
		own += "?" + about.Encode()
	}
	about.Set(api.ParamRepository, s.Site.Called())
	feed := atomFeed{
		ID: tag(address, tagSince, "feed/"+own), Title: "Builds of " + page.Visible(s.Site.Called()), Author: "Velocity",
		Links: []atomLink{
			{Rel: "self", Type: atomKind, Href: address + page.FeedPath + "?" + about.Encode()},
			{Rel: "alternate", Type: htmlKind, Href: address + page.BuildsPath(s.Site.Called(), q)},
		},
	}
	updated := time.Unix(0, 0)
	for _, b := range builds {
		if b.State().Final() {
			feed.Entries = append(feed.Entries, entryOf(address, b))
			if b.Finished.After(updated) {
				updated = b.Finished
			}
		}
	}
	slices.SortStableFunc(feed.Entries, func(a, b atomEntry) int { return strings.Compare(b.Updated, a.Updated) })
	feed.Updated = stamp(updated)
	return feed
}

// entryOf tells of one build, which is over.
func entryOf(address string, b *build.Build) atomEntry {
	title := fmt.Sprintf("%s: %s", b.State(), b.Name)
	if ref := b.Trigger.Ref; ref != "" {
		title += " on " + strings.TrimPrefix(strings.TrimPrefix(ref, plan.BranchPrefix), "refs/")
	}
	summary := b.Counts().String()
	if !b.Trigger.Commit.Zero() {
		summary += ", commit " + b.Trigger.Commit.Short()
	}
	for _, more := range []string{b.Subject, b.Reason()} {
		if more != "" {
			summary += ": " + more
		}
	}
	return atomEntry{
		ID: tag(address, b.Created.UTC().Format(time.DateOnly), "build/"+b.ID.String()), Title: page.Visible(title),
		Published: stamp(b.Created), Updated: stamp(b.Finished), Author: page.Visible(cmp.Or(b.Author, b.Trigger.Actor, "unknown")),
		Link: atomLink{Rel: "alternate", Type: htmlKind, Href: address + page.BuildPath(b.ID)}, Summary: page.Visible(summary),
	}
}

// stamp is a time as feeds have it, which sorts as text.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// basicChallenge asks for a name, which does not matter, and a token as password.
const basicChallenge = `Basic realm="velocity", charset="UTF-8"`

// subscriber is whose token a request brings as its password, since a reader of
// feeds sends no other, or as those of the API and of pages do. That is for routes
// without effects only: a browser sends passwords also when another site has it ask.
func (f *Front) subscriber(r *http.Request) (roster.Token, error) {
	if _, password, given := r.BasicAuth(); given {
		return f.Roster.Check(r.Context(), password)
	}
	if r.Header.Get("Authorization") != "" {
		return f.bearer(r)
	}
	return f.visitor(r)
}
