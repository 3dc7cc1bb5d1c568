package forgetest

import (
	"fmt"
	"net/http"
	"strings"
)

// serveGit answers git clients, at "/owner/name.git/...".
func (g *GitHub) serveGit(w http.ResponseWriter, r *http.Request) {
	address, rest, _ := strings.Cut(r.URL.Path, ".git/")
	owner, name, _ := strings.Cut(strings.TrimPrefix(address, "/"), "/")
	rec := &recorder{ResponseWriter: w, status: http.StatusOK}
	defer func() {
		g.gate.log(Call{At: g.Clock.Now(), Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Status: rec.status})
	}()
	repo, moved, err := g.openGit(r, owner, name)
	switch {
	case err != nil:
		if err.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
		}
		http.Error(rec, err.message, err.status)
	case moved:
		http.Redirect(rec, r, repo.CloneURL()+"/"+rest+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
	default:
		inner := r.Clone(r.Context())
		inner.URL.Path = "/" + rest
		if pushes(r) {
			repo.bare.ServePush(rec, inner)
			return
		}
		repo.bare.ServeHTTP(rec, inner)
	}
}

// openGit decides whether a git client may fetch, or push if that is what it wants.
func (g *GitHub) openGit(r *http.Request, owner, name string) (*Repo, bool, *refusal) {
	defer g.hold()()
	repo, moved := g.repo(owner, name)
	_, password, given := r.BasicAuth()
	push := pushes(r)
	if !given {
		password = bearer(r.Header.Get("Authorization"))
		given = password != ""
	}
	unknown := &refusal{status: http.StatusUnauthorized, message: "Repository not found."}
	if !given {
		if repo == nil || repo.deleted || repo.private || push {
			return nil, false, unknown
		}
		return repo, moved, nil
	}
	t := g.tokens[password]
	if g.tokenError(t) != nil {
		return nil, false, &refusal{status: http.StatusUnauthorized, message: "Invalid username or token."}
	}
	switch {
	case repo == nil || repo.deleted:
		return nil, false, &refusal{status: http.StatusNotFound, message: "Repository not found."}
	case repo.private && (!t.reaches(repo) || !t.allows("contents", "read")):
		return nil, false, &refusal{status: http.StatusForbidden, message: "The token does not open this repository."}
	case push && !t.pushes(repo):
		return nil, false, &refusal{status: http.StatusForbidden, message: "Permission to " + repo.fullName() + " denied."}
	}
	return repo, moved, nil
}

// A recorder notes the status of an answer that goes on at once.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// getBranch answers GET /repos/{owner}/{repo}/branches/{branch}.
func (g *GitHub) getBranch(q *request) (any, error) {
	name := q.PathValue("branch")
	tip := q.repo.tip(name)
	if tip == "" {
		return nil, &refusal{status: http.StatusNotFound, message: "Branch not found"}
	}
	log, err := q.repo.bare.Log(1, tip)
	if err != nil {
		return nil, err
	}
	api := fmt.Sprintf("%s/api/v3/repos/%s/branches/%s", g.URL(), q.repo.fullName(), name)
	return object{
		"name": name, "commit": g.commitJSON(q.repo, log[0]), "protected": false, "protection_url": api + "/protection",
		"protection": object{"enabled": false}, "_links": object{"html": g.URL() + "/" + q.repo.fullName() + "/tree/" + name, "self": api},
	}, nil
}

// getCommit answers GET /repos/{owner}/{repo}/commits/{ref}.
func (g *GitHub) getCommit(q *request) (any, error) {
	commit, err := q.repo.bare.Peel(q.PathValue("ref"))
	if err != nil || commit == "" {
		return nil, noCommit(q.PathValue("ref"))
	}
	log, err := q.repo.bare.Log(1, commit)
	if err != nil {
		return nil, err
	}
	return g.commitJSON(q.repo, log[0]), nil
}

// refJSON is a ref.
func (g *GitHub) refJSON(r *Repo, ref, at string) (object, error) {
	kind, err := r.bare.git(nil, nil, "cat-file", "-t", at)
	if err != nil {
		return nil, err
	}
	api := g.URL() + "/api/v3/repos/" + r.fullName() + "/git/"
	return object{
		"ref": ref, "node_id": node("REF", r.id) + ref, "url": api + ref,
		"object": object{"type": kind, "sha": at, "url": api + kind + "s/" + at},
	}, nil
}

// getRef answers GET /repos/{owner}/{repo}/git/ref/{ref}.
func (g *GitHub) getRef(q *request) (any, error) {
	ref := "refs/" + q.PathValue("ref")
	at, err := q.repo.bare.Resolve(ref)
	if err != nil || at == "" {
		return nil, notFound
	}
	return g.refJSON(q.repo, ref, at)
}

// matchingRefs answers GET /repos/{owner}/{repo}/git/matching-refs/{ref}.
func (g *GitHub) matchingRefs(q *request) (any, error) {
	refs, err := q.repo.bare.Refs("refs/")
	if err != nil {
		return nil, err
	}
	list := []object{}
	for _, ref := range sortedKeys(refs) {
		if !strings.HasPrefix(ref, "refs/"+q.PathValue("ref")) {
			continue
		}
		one, err := g.refJSON(q.repo, ref, refs[ref])
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return pageOf(g, q, list), nil
}
