package forgetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// A labRequest is one call of the API, by somebody who may make it.
type labRequest struct {
	*http.Request
	body    []byte
	token   *LabToken
	project *Project // nil if the path has none
	level   int      // access level of the token's user in the project
	header  http.Header
}

func (q *labRequest) number(name string) int64 {
	n, _ := strconv.ParseInt(q.PathValue(name), 10, 64) // 0 is nobody's number
	return n
}

func (q *labRequest) query(name string, usual, most int) int {
	n, err := strconv.Atoi(q.URL.Query().Get(name))
	if err != nil || n < 1 {
		return usual
	}
	return min(n, most)
}

func (q *labRequest) decode(v any) error {
	if err := json.Unmarshal(q.body, v); err != nil {
		return &refusal{status: http.StatusBadRequest, message: "400 Bad request", mistake: true}
	}
	return nil
}

// labRefuse refuses in GitLab's words.
func labRefuse(status int, format string, args ...any) error {
	return &refusal{status: status, message: fmt.Sprintf(format, args...)}
}

// A later is an answer that is found without the lock.
type later func() (any, error)

// Access levels.
const (
	reporter   = 20
	developer  = 30
	maintainer = 40
)

// A labOperation is one of the API. Of a path without a project the level is nobody's
// or an administrator's.
type labOperation struct {
	pattern string
	level   int // that is needed; 0 is who may see the project
	do      func(*GitLab, *labRequest) (any, error)
}

const admin = 60 // an administrator, of all of GitLab

// labOperations are what the fake has of the API, below /api/v4.
var labOperations = []labOperation{
	{"GET /version", 0, (*GitLab).getVersion},
	{"GET /personal_access_tokens/self", 0, (*GitLab).getSelf},
	{"GET /user", 0, (*GitLab).getUser},
	{"GET /projects", 0, (*GitLab).listProjects},
	{"GET /projects/{id}", 0, (*GitLab).getProject},
	{"GET /projects/{id}/members/all/{user_id}", 0, (*GitLab).getMember},
	{"POST /projects/{id}/statuses/{sha}", developer, (*GitLab).createStatus},
	{"GET /projects/{id}/repository/commits", 0, (*GitLab).listCommits},
	{"GET /projects/{id}/repository/commits/{sha}/statuses", 0, (*GitLab).listStatuses},
	{"GET /projects/{id}/merge_requests", 0, (*GitLab).listMerges},
	{"GET /projects/{id}/merge_requests/{merge_request_iid}", 0, (*GitLab).getMerge},
	{"GET /projects/{id}/merge_requests/{merge_request_iid}/notes", 0, (*GitLab).listNotes},
	{"POST /projects/{id}/merge_requests/{merge_request_iid}/notes", reporter, (*GitLab).createNote},
	{"PUT /projects/{id}/merge_requests/{merge_request_iid}/notes/{note_id}", reporter, (*GitLab).editNote},
	{"GET /projects/{id}/hooks", maintainer, (*GitLab).listHooks},
	{"POST /projects/{id}/hooks", maintainer, (*GitLab).createHook},
	{"GET /projects/{id}/hooks/{hook_id}", maintainer, (*GitLab).getHook},
	{"PUT /projects/{id}/hooks/{hook_id}", maintainer, (*GitLab).editHook},
	{"GET /projects/{id}/hooks/{hook_id}/events", maintainer, (*GitLab).listEvents},
	{"POST /projects/{id}/hooks/{hook_id}/test/{trigger}", maintainer, (*GitLab).testHook},
	{"GET /hooks", admin, (*GitLab).listHooks},
	{"POST /hooks", admin, (*GitLab).createHook},
	{"GET /hooks/{hook_id}", admin, (*GitLab).getHook},
	{"PUT /hooks/{hook_id}", admin, (*GitLab).editHook},
}

// restAPI answers the operations.
func (g *GitLab) restAPI() http.Handler {
	mux := http.NewServeMux()
	for _, op := range labOperations {
		method, path, _ := strings.Cut(op.pattern, " ")
		mux.HandleFunc(method+" /api/v4"+path, func(w http.ResponseWriter, r *http.Request) { g.operate(w, r, op) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		g.gate.violate(fmt.Sprintf("%s %s: the fake does not have this", r.Method, r.URL.Path))
		writeJSON(w, http.StatusNotFound, object{"error": "404 Not Found"})
	})
	return mux
}

// operate does one operation for whom it is for.
func (g *GitLab) operate(w http.ResponseWriter, r *http.Request, op labOperation) {
	q := &labRequest{Request: r, header: w.Header()}
	var err error
	if q.body, err = io.ReadAll(r.Body); err != nil {
		return // it is in memory: this does not happen
	}
	answer, err := g.do(q, op)
	if after, ok := answer.(later); ok && err == nil {
		answer, err = after()
	}
	g.tellLimit(w.Header(), 1)
	if refused := new(refusal); errors.As(err, &refused) {
		if refused.mistake {
			g.gate.violate(fmt.Sprintf("%s %s: %s", r.Method, r.URL.Path, refused.message))
		}
		writeJSON(w, refused.status, object{"message": refused.message})
		return
	}
	if err != nil {
		writeJSON(w, http.StatusInternalServerError, object{"message": "500 Internal Server Error", "error": err.Error()})
		return
	}
	if out, ok := answer.(reply); ok {
		writeJSON(w, out.status, out.body)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func (g *GitLab) do(q *labRequest, op labOperation) (any, error) {
	defer g.hold()()
	if err := g.admit(q, op); err != nil {
		return nil, err
	}
	return op.do(g, q)
}

// admit decides who asks, and whether they may.
func (g *GitLab) admit(q *labRequest, op labOperation) error {
	value := q.Header.Get("Private-Token")
	if value == "" {
		value = bearer(q.Header.Get("Authorization"))
	}
	q.token = g.tokens[value]
	switch {
	case q.token == nil || q.token.oauth && q.Header.Get("Private-Token") != "":
		return labRefuse(http.StatusUnauthorized, "401 Unauthorized")
	case q.token.dead():
		return labRefuse(http.StatusUnauthorized, "invalid_token: Token is expired or was revoked. You have to re-authorize from the user.")
	case op.pattern == "GET /personal_access_tokens/self":
		return nil
	case !q.token.has("api") && (q.Method != http.MethodGet || !q.token.has("read_api")):
		return labRefuse(http.StatusForbidden, "insufficient_scope: The request requires higher privileges than provided by the access token.")
	}
	if q.PathValue("id") == "" {
		if op.level == admin && !q.token.user.Admin {
			return labRefuse(http.StatusForbidden, "403 Forbidden")
		}
		return nil
	}
	p := g.find(q.PathValue("id"))
	if p == nil || !p.shows(q.token.user) {
		return labRefuse(http.StatusNotFound, "404 Project Not Found")
	}
	q.project, q.level = p, p.level(q.token.user)
	if q.level < op.level {
		return labRefuse(http.StatusForbidden, "403 Forbidden")
	}
	return nil
}

const (
	labMinute = 2000 // calls a minute of one user
	labReset  = 40   // seconds until the next minute of those begins
)

func (g *GitLab) tellLimit(h http.Header, used int) {
	h.Set("RateLimit-Limit", strconv.Itoa(labMinute))
	h.Set("RateLimit-Observed", strconv.Itoa(used))
	h.Set("RateLimit-Remaining", strconv.Itoa(labMinute-used))
	h.Set("RateLimit-Reset", strconv.FormatInt(g.Clock.Now().Unix()+labReset, 10))
}

// refuseLimited answers a request that faults made one too many. GitLab says it in
// one way, if not always for how long.
func (g *GitLab) refuseLimited(w http.ResponseWriter, m Mishap) {
	switch {
	case m.RetryAfter > 0:
		w.Header().Set("Retry-After", strconv.Itoa(int(m.RetryAfter.Seconds())))
		g.tellLimit(w.Header(), labMinute)
	case m.Exhausted:
		g.tellLimit(w.Header(), labMinute)
	}
	http.Error(w, "Retry later", http.StatusTooManyRequests)
}

// labInvalid answers a request that is not as GitLab describes it.
func labInvalid(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	if errors.Is(err, ErrUnknown) {
		status = http.StatusNotFound
	}
	writeJSON(w, status, object{"error": err.Error()})
}

// getVersion answers GET /version.
func (g *GitLab) getVersion(*labRequest) (any, error) {
	return object{"version": "18.5.0-ee", "revision": "0123456789a"}, nil
}

// labPage is the part of a list that was asked for, and says where the rest is.
func labPage[T any](g *GitLab, q *labRequest, all []T) []T {
	size, page := q.query("per_page", 20, 100), q.query("page", 1, 1<<20)
	first := min((page-1)*size, len(all))
	end := min(first+size, len(all))
	h := q.header
	h.Set("X-Page", strconv.Itoa(page))
	h.Set("X-Per-Page", strconv.Itoa(size))
	h.Set("X-Next-Page", "")
	if end < len(all) {
		h.Set("X-Next-Page", strconv.Itoa(page+1))
		u := url.URL{Path: q.URL.Path}
		values := q.URL.Query()
		values.Set("page", strconv.Itoa(page+1))
		u.RawQuery = values.Encode()
		h.Set("Link", fmt.Sprintf("<%s%s>; rel=%q", g.URL(), u.String(), "next"))
	}
	if all == nil {
		return []T{}
	}
	return all[first:end]
}
