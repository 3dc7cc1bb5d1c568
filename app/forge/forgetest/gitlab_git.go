package forgetest

import (
	"net/http"
	"strings"
)

// serveGit answers git clients, at "/group/name.git/...".
func (g *GitLab) serveGit(w http.ResponseWriter, r *http.Request) {
	path, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), ".git/")
	rec := &recorder{ResponseWriter: w, status: http.StatusOK}
	defer func() {
		g.gate.log(Call{At: g.Clock.Now(), Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Status: rec.status})
	}()
	p, status := g.openGit(r, path)
	if p == nil {
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="GitLab"`)
		}
		http.Error(rec, http.StatusText(status), status)
		return
	}
	inner := r.Clone(r.Context())
	inner.URL.Path = "/" + rest
	p.bare.ServeHTTP(rec, inner)
}

// openGit decides whether a git client may fetch. GitLab tells a stranger nothing.
func (g *GitLab) openGit(r *http.Request, path string) (*Project, int) {
	defer g.hold()()
	p := g.find(path)
	_, password, given := r.BasicAuth()
	if !given {
		if p == nil || p.private {
			return nil, http.StatusUnauthorized
		}
		return p, 0
	}
	t := g.tokens[password]
	switch {
	case t.dead():
		return nil, http.StatusUnauthorized
	case !t.has("api", "read_repository", "write_repository"):
		return nil, http.StatusForbidden
	case p == nil || !p.shows(t.user):
		return nil, http.StatusNotFound
	}
	return p, 0
}
