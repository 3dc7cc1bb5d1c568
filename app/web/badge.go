package web

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/web/page"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/storage/roster"
)

// badgeBuilds is how many of the newest builds of a branch a badge looks at.
const badgeBuilds = 20

// badge answers with how the newest builds of a branch ended, as a small picture.
// Whoever may not read the repository gets the one that says nothing, and so does
// who asks for one that is not there: the two cannot be told apart.
func (f *Front) badge(w http.ResponseWriter, r *http.Request, _ *Server) {
	name, ok := strings.CutSuffix(r.PathValue("path"), ".svg")
	if !ok {
		http.NotFound(w, r)
		return
	}
	q := r.URL.Query()
	pipeline, shown := q.Get("pipeline"), page.Unknown
	if s, ok := f.shownTo(r, name); ok {
		var err error
		if shown, err = s.standing(r.Context(), q.Get("branch"), pipeline); err != nil {
			s.Log.Warn("badge not known", "repo", s.Site.Called(), "err", err)
		}
	}
	guarded(w)
	cache := "public, max-age=60"
	if r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" {
		cache = "private, max-age=60"
	}
	w.Header().Set("Cache-Control", cache)
	w.Header().Set("Vary", "Authorization, Cookie")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox")
	known(w, r, "image/svg+xml", page.Badge(cmp.Or(pipeline, "build"), shown))
}

// shownTo finds a repository by its name or key, among those that whoever asks may
// read and those that everybody may.
func (f *Front) shownTo(r *http.Request, name string) (*Server, bool) {
	token, err := f.subscriber(r)
	stranger := err != nil
	sites := slices.DeleteFunc(f.Sites.list(), func(s *Server) bool {
		if !stranger && token.May(roster.Read, s.Site.Identity()) {
			return false
		}
		if s.Reads == nil {
			return true
		}
		everybody, err := s.Reads(r.Context(), "")
		return err != nil || !everybody
	})
	s, err := theSite(sites, name)
	return s, err == nil
}

// standing is how the newest builds of a branch stand; the default branch is "". Of
// several pipelines the worst counts, unless one is named.
func (s *Server) standing(ctx context.Context, branch, pipeline string) (page.Standing, error) {
	if branch == "" {
		var err error
		if branch, err = s.Site.Repo.Head(ctx); err != nil {
			return page.Unknown, err
		}
	}
	builds, err := s.Builds(ctx, api.Query{Ref: branch, Name: pipeline, Limit: strconv.Itoa(badgeBuilds)})
	if len(builds) == 0 {
		return page.Unknown, err
	}
	return standingOf(builds, pipeline != ""), nil
}

// standingOf looks at builds of the newest commit that was built, of each pipeline at
// the newest. Those that were canceled say nothing, nor do those of somebody's own
// machine; and those of single blueprints only if they were asked for.
func standingOf(builds []*build.Build, named bool) page.Standing {
	shown, seen, commit := page.Unknown, map[string]bool{}, plan.Commit("")
	for _, b := range builds {
		if b.Canceled != "" || b.Trigger.Event == plan.EventLocal || !named && b.Kind == plan.OfBlueprint {
			continue
		}
		if len(seen) == 0 {
			commit = b.Trigger.Commit
		}
		if b.Trigger.Commit != commit {
			break
		}
		if !seen[b.Name] {
			seen[b.Name] = true
			shown = max(shown, standings[b.State()])
		}
	}
	return shown
}

// standings are what states of builds are on badges.
var standings = map[build.State]page.Standing{build.Succeeded: page.Passing, build.Building: page.Underway, build.Failed: page.Failing}
