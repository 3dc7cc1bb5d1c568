package web

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/app/web/page"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage/roster"
)

// pageRoutes are the lines of the table that are for people.
func pageRoutes() []Route {
	const one = "GET /builds/{id}"
	return []Route{
		{Pattern: "GET " + page.AssetsPath + "{name}", Need: Anybody, serve: (*Front).asset},
		{Pattern: "GET " + loginPath, Need: Anybody, page: true, serve: (*Front).loginForm},
		{Pattern: "POST " + loginPath, Need: Anybody, page: true, serve: (*Front).login},
		{Pattern: "POST " + logoutPath, Need: Anybody, page: true, serve: (*Front).logout},

		{Pattern: "GET /{$}", Need: roster.Read, On: OnServer, page: true, serve: (*Front).homePage},
		{Pattern: "GET /queue", Need: roster.Read, On: OnServer, page: true, serve: (*Front).queuePage},
		{Pattern: "GET /builders", Need: roster.Admin, On: OnServer, page: true, serve: (*Front).buildersPage},
		{Pattern: "GET /builds", Need: roster.Read, On: OnRepository, page: true, serve: (*Front).buildsPage},
		{Pattern: one, Need: roster.Read, On: OnRepository, page: true, serve: (*Front).buildPage},
		{Pattern: one + "/live", Need: roster.Read, On: OnRepository, page: true, follow: true, serve: (*Front).buildLive},
		{Pattern: one + "/plan", Need: roster.Read, On: OnRepository, page: true, serve: (*Front).planPage},
		{Pattern: one + "/events", Need: roster.Read, On: OnRepository, page: true, serve: (*Front).eventsPage},
		{Pattern: one + "/log/{task}", Need: roster.Read, On: OnRepository, page: true, serve: (*Front).logPage},
		{Pattern: one + "/log/{task}/live", Need: roster.Read, On: OnRepository, page: true, follow: true, serve: (*Front).logLive},
		{Pattern: one + "/log/{task}/raw", Need: roster.Read, On: OnRepository, page: true, serve: (*Front).logRaw},
		{Pattern: one + "/artifacts/{task}", Need: roster.Read, On: OnRepository, page: true, serve: at((*Server).artifact)},
		{Pattern: one + "/artifacts/{task}/{path...}", Need: roster.Read, On: OnRepository, page: true, serve: at((*Server).artifact)},
	}
}

// page answers with a page that nobody keeps: it is for whoever asked.
func (f *Front) page(w http.ResponseWriter, r *http.Request, status int, v page.View) {
	var out bytes.Buffer
	if err := page.Write(&out, f.frame(r), v); err != nil {
		f.Log.Error("page not drawn", "path", r.URL.Path, "err", err)
		http.Error(w, "the server could not draw this page; its log says why", http.StatusInternalServerError)
		return
	}
	guarded(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", page.Policy)
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // who has left does not need it
}

func (f *Front) frame(r *http.Request) page.Frame {
	c, ok := callerOf(r)
	user := c.token.Name
	if c.local {
		user = "this machine"
	}
	if !ok {
		user = ""
	}
	return page.Frame{User: user, Admin: c.token.Rights.Includes(roster.Admin), Leave: c.session, Now: f.Now()}
}

func (f *Front) pageProblem(w http.ResponseWriter, r *http.Request, status int, err error) {
	f.page(w, r, status, page.Problem{Status: http.StatusText(status), Message: err.Error()})
}

// broken answers that a page cannot be shown for a reason that is the server's.
func (f *Front) broken(w http.ResponseWriter, r *http.Request, err error) {
	f.Log.Error("page not shown", "path", r.URL.Path, "err", err)
	f.pageProblem(w, r, http.StatusInternalServerError, errors.New("the server could not read what belongs here; its log says why"))
}

// asset answers with a file of the pages. One that is asked for by its version need
// not be asked for again.
func (f *Front) asset(w http.ResponseWriter, r *http.Request, _ *Server) {
	a, ok := page.FindAsset(r.PathValue("name"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	guarded(w)
	w.Header().Set("Content-Type", a.Kind)
	if r.URL.Query().Get(page.AssetVersion) == a.Version {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	_, _ = w.Write(a.Content) // who has left does not need it
}

// readable are the sites that a caller may read, by name.
func (f *Front) readable(r *http.Request) []*Server {
	c, _ := callerOf(r)
	sites := f.sitesOf(c.token)
	slices.SortFunc(sites, func(a, b *Server) int { return strings.Compare(a.Site.Called(), b.Site.Called()) })
	return sites
}

// newest is how many builds of a repository the list of all shows.
const newest = "10"

func (f *Front) homePage(w http.ResponseWriter, r *http.Request, _ *Server) {
	var home page.Home
	for _, s := range f.readable(r) {
		builds, err := s.Builds(r.Context(), api.Query{Limit: newest})
		if err != nil { // those that cannot be read do not hide the others
			f.Log.Warn("builds left out of a list", "repo", s.Site.Called(), "err", err)
		}
		home.Repositories = append(home.Repositories, page.Repository{Name: s.Site.Called(), Newest: builds})
	}
	f.page(w, r, http.StatusOK, home)
}

// underWay are the builds that are not over of the sites that a caller may read.
func (f *Front) underWay(r *http.Request, each func(s *Server, b *build.Build)) {
	sites := f.readable(r)
	for i, s := range sites {
		if slices.ContainsFunc(sites[:i], func(before *Server) bool { return before.Architect == s.Architect }) {
			continue // one architect has the builds of many sites
		}
		for _, b := range s.Architect.Unfinished() {
			v, ok := s.Architect.Watch(b.ID)
			if !ok {
				continue // it has just ended
			}
			of, _ := v.Of()
			v.Close()
			if i := slices.IndexFunc(sites, func(s *Server) bool { return s.Site == of }); i >= 0 {
				each(sites[i], b)
			}
		}
	}
}

// running lists what is with builders.
func running(s *Server, b *build.Build) []page.Running {
	var all []page.Running
	for i := range b.Stages {
		for j := range b.Stages[i].Tasks {
			if t := &b.Stages[i].Tasks[j]; t.State == build.Scheduled || t.State == build.Building {
				all = append(all, page.Running{Repository: s.Site.Called(), Build: b, Task: t})
			}
		}
	}
	return all
}

func (f *Front) buildersPage(w http.ResponseWriter, r *http.Request, _ *Server) {
	all, err := f.listBuilders(r.Context())
	if err != nil {
		f.broken(w, r, err)
		return
	}
	runs := map[string][]page.Running{}
	f.underWay(r, func(s *Server, b *build.Build) {
		for _, one := range running(s, b) {
			runs[one.Task.Builder] = append(runs[one.Task.Builder], one)
		}
	})
	var v page.Builders
	for _, b := range append(all, f.unregistered(all)...) {
		v.List = append(v.List, page.Builder{Builder: b, Runs: runs[b.Name]})
	}
	f.page(w, r, http.StatusOK, v)
}

// unregistered are the builders that are connected and not among those that are
// registered: the one of this process.
func (f *Front) unregistered(registered []api.Builder) []api.Builder {
	if f.Members == nil {
		return nil
	}
	here := f.Members()
	for _, b := range registered {
		delete(here, b.Name)
	}
	var all []api.Builder
	for _, name := range slices.Sorted(maps.Keys(here)) {
		all = append(all, api.Builder{Name: name, Connection: connection(here, name)})
	}
	return all
}

func (f *Front) queuePage(w http.ResponseWriter, r *http.Request, _ *Server) {
	var v page.Queue
	f.underWay(r, func(s *Server, b *build.Build) {
		v.Running = append(v.Running, running(s, b)...)
		v.Waiting = append(v.Waiting, f.waiting(r.Context(), s, b)...)
	})
	slices.SortStableFunc(v.Waiting, func(a, b page.Waiting) int { return a.Since.Compare(b.Since) })
	slices.SortStableFunc(v.Running, func(a, b page.Running) int {
		return cmp.Or(a.Task.Started.Compare(b.Task.Started), strings.Compare(a.Task.Key, b.Task.Key))
	})
	f.page(w, r, http.StatusOK, v)
}

// waiting lists the tasks of a build whose turn has come, or would have if the build
// were allowed to start.
func (f *Front) waiting(ctx context.Context, s *Server, b *build.Build) []page.Waiting {
	reasons, err := s.Why(ctx, b, "")
	if err != nil {
		f.Log.Warn("reasons left out of the queue", "build", b.ID.String(), "err", err)
	}
	var all []page.Waiting
	for _, reason := range reasons {
		t, ok := b.Task(reason.Task)
		if !ok || t.State != build.Ready && !isFirst(b, t) {
			continue
		}
		since := t.Ready
		if since.IsZero() {
			since = b.Created
		}
		all = append(all, page.Waiting{Running: page.Running{Repository: s.Site.Called(), Build: b, Task: t}, Since: since, Why: reason.Why})
	}
	return all
}

// isFirst reports whether a task would be ready, were its build allowed to start.
func isFirst(b *build.Build, t *build.Task) bool {
	return b.Started.IsZero() && strings.HasPrefix(t.Key, "s0t")
}
