package forgetest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// An object is JSON to be.
type object = map[string]any

// A request is one call of the API, by somebody who may make it.
type request struct {
	*http.Request
	body   []byte
	token  *token // nil: the App itself, or nobody
	repo   *Repo  // nil if the path has none
	header http.Header
}

// number is a numeric parameter of the path; 0 if it is none.
func (q *request) number(name string) int64 {
	n, _ := strconv.ParseInt(q.PathValue(name), 10, 64) // 0 is nobody's number
	return n
}

// query is a number of the query between 1 and most; usual if it is not there.
func (q *request) query(name string, usual, most int) int {
	n, err := strconv.Atoi(q.URL.Query().Get(name))
	if err != nil || n < 1 {
		return usual
	}
	return min(n, most)
}

// decode reads the body.
func (q *request) decode(v any) error {
	if err := json.Unmarshal(q.body, v); err != nil {
		return &refusal{status: http.StatusBadRequest, message: "Problems parsing JSON", mistake: true}
	}
	return nil
}

// A refusal is an answer that is not what was asked for.
type refusal struct {
	status  int
	message string
	mistake bool // no client should have asked for it
	header  http.Header
}

func (r *refusal) Error() string { return r.message }

// wrong refuses what no client should have asked for.
func wrong(format string, args ...any) error {
	return &refusal{status: http.StatusUnprocessableEntity, message: fmt.Sprintf(format, args...), mistake: true}
}

var (
	notFound  = &refusal{status: http.StatusNotFound, message: "Not Found"}
	forbidden = &refusal{status: http.StatusForbidden, message: "Resource not accessible by integration"}
)

// A reply is an answer with another status than 200.
type reply struct {
	status int
	body   any
}

func created(body any) reply { return reply{http.StatusCreated, body} }

var noContent = reply{status: http.StatusNoContent}

// Whom an operation is for, if not a permission of an installation.
const (
	anybody     = "anybody"
	theApp      = "the App"
	anyToken    = "any token of an installation"
	writeChecks = "checks:write"
	readChecks  = "checks:read"
)

// An operation is one of the API.
type operation struct {
	pattern string
	who     string // one of the constants above, or a permission such as "checks:write"
	do      func(*GitHub, *request) (any, error)
}

// operations are what the fake has of the API.
var operations = []operation{
	{"GET /app", theApp, (*GitHub).getApp},
	{"POST /app-manifests/{code}/conversions", anybody, (*GitHub).convertManifest},
	{"GET /app/hook/config", theApp, (*GitHub).getHook},
	{"PATCH /app/hook/config", theApp, (*GitHub).setHook},
	{"GET /app/hook/deliveries", theApp, (*GitHub).listDeliveries},
	{"GET /app/hook/deliveries/{delivery_id}", theApp, (*GitHub).getDelivery},
	{"POST /app/hook/deliveries/{delivery_id}/attempts", theApp, (*GitHub).redeliver},
	{"GET /app/installations", theApp, (*GitHub).listInstallations},
	{"GET /app/installations/{installation_id}", theApp, (*GitHub).getInstallation},
	{"POST /app/installations/{installation_id}/access_tokens", theApp, (*GitHub).createToken},
	{"GET /repos/{owner}/{repo}/installation", theApp, (*GitHub).findInstallation},
	{"GET /installation/repositories", anyToken, (*GitHub).listRepositories},
	{"DELETE /installation/token", anyToken, (*GitHub).revokeToken},
	{"GET /rate_limit", anyToken, (*GitHub).rateLimit},
	{"GET /meta", anybody, (*GitHub).meta},
	{"GET /repos/{owner}/{repo}", "metadata:read", (*GitHub).getRepository},
	{"GET /repos/{owner}/{repo}/branches/{branch}", "contents:read", (*GitHub).getBranch},
	{"GET /repos/{owner}/{repo}/git/ref/{ref...}", "contents:read", (*GitHub).getRef},
	{"GET /repos/{owner}/{repo}/git/matching-refs/{ref...}", "contents:read", (*GitHub).matchingRefs},
	{"GET /repos/{owner}/{repo}/commits/{ref}", "contents:read", (*GitHub).getCommit},
	{"GET /repos/{owner}/{repo}/commits/{ref}/pulls", "pull_requests:read", (*GitHub).commitPulls},
	{"GET /repos/{owner}/{repo}/collaborators/{username}/permission", "metadata:read", (*GitHub).permission},
	{"GET /repos/{owner}/{repo}/pulls", "pull_requests:read", (*GitHub).listPulls},
	{"GET /repos/{owner}/{repo}/pulls/{pull_number}", "pull_requests:read", (*GitHub).getPull},
	{"GET /repos/{owner}/{repo}/pulls/{pull_number}/commits", "pull_requests:read", (*GitHub).pullCommits},
	{"GET /repos/{owner}/{repo}/pulls/{pull_number}/files", "pull_requests:read", (*GitHub).pullFiles},
	{"GET /repos/{owner}/{repo}/issues/{issue_number}/comments", "issues:read", (*GitHub).listComments},
	{"POST /repos/{owner}/{repo}/issues/{issue_number}/comments", "issues:write", (*GitHub).createComment},
	{"POST /repos/{owner}/{repo}/check-runs", writeChecks, (*GitHub).createRun},
	{"GET /repos/{owner}/{repo}/check-runs/{check_run_id}", readChecks, (*GitHub).getRun},
	{"PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}", writeChecks, (*GitHub).updateRun},
	{"GET /repos/{owner}/{repo}/check-runs/{check_run_id}/annotations", readChecks, (*GitHub).listAnnotations},
	{"POST /repos/{owner}/{repo}/check-runs/{check_run_id}/rerequest", writeChecks, (*GitHub).rerequestRun},
	{"GET /repos/{owner}/{repo}/check-suites/{check_suite_id}", readChecks, (*GitHub).getSuite},
	{"GET /repos/{owner}/{repo}/check-suites/{check_suite_id}/check-runs", readChecks, (*GitHub).suiteRuns},
	{"POST /repos/{owner}/{repo}/check-suites/{check_suite_id}/rerequest", writeChecks, (*GitHub).rerequestSuite},
	{"GET /repos/{owner}/{repo}/commits/{ref}/check-runs", readChecks, (*GitHub).commitRuns},
	{"GET /repos/{owner}/{repo}/commits/{ref}/check-suites", readChecks, (*GitHub).commitSuites},
	{"GET /repos/{owner}/{repo}/commits/{ref}/status", "statuses:read", (*GitHub).combinedStatus},
	{"GET /repos/{owner}/{repo}/commits/{ref}/statuses", "statuses:read", (*GitHub).listStatuses},
	{"POST /repos/{owner}/{repo}/statuses/{sha}", "statuses:write", (*GitHub).createStatus},
}

// restAPI answers the operations.
func (g *GitHub) restAPI() http.Handler {
	mux := http.NewServeMux()
	for _, op := range operations {
		mux.HandleFunc(op.pattern, func(w http.ResponseWriter, r *http.Request) { g.operate(w, r, op) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		g.gate.violate(fmt.Sprintf("%s %s: the fake does not have this", r.Method, r.URL.Path))
		writeJSON(w, http.StatusNotImplemented, object{"message": "the fake does not have this"})
	})
	return mux
}

// serveAPI lets a call through the gate. GitHub's redirects name repositories by
// number, which its description does not have.
func (g *GitHub) serveAPI(w http.ResponseWriter, r *http.Request) {
	if rest, ok := strings.CutPrefix(r.URL.Path, "/repositories/"); ok {
		number, rest, _ := strings.Cut(rest, "/")
		name := "-/" + number // which nobody has
		g.mu.Lock()
		id, err := strconv.ParseInt(number, 10, 64)
		if repo := g.repos[id]; err == nil && repo != nil && !repo.deleted {
			name = repo.fullName()
		}
		g.mu.Unlock()
		r = r.Clone(r.Context())
		r.URL.RawPath = ""
		r.URL.Path = strings.TrimSuffix("/repos/"+name+"/"+rest, "/")
	}
	g.gate.ServeHTTP(w, r)
}

// operate does one operation for whom it is for.
func (g *GitHub) operate(w http.ResponseWriter, r *http.Request, op operation) {
	defer g.hold()()
	q := &request{Request: r, header: w.Header()}
	var err error
	if q.body, err = io.ReadAll(r.Body); err != nil {
		return // it is in memory: this does not happen
	}
	var answer any
	if err = g.admit(q, op.who); err == nil {
		answer, err = op.do(g, q)
	}
	if refused := new(refusal); errors.As(err, &refused) {
		if refused.mistake {
			g.gate.violate(fmt.Sprintf("%s %s: %s", r.Method, r.URL.Path, refused.message))
		}
		for k, v := range refused.header {
			w.Header()[k] = v
		}
		g.count(q)
		writeJSON(w, refused.status, object{"message": refused.message, "documentation_url": "https://docs.github.com/rest"})
		return
	}
	if err != nil {
		g.count(q)
		writeJSON(w, http.StatusInternalServerError, object{"message": err.Error()})
		return
	}
	g.give(w, q, answer)
}

// give writes an answer, or says that it is what the client has already.
func (g *GitHub) give(w http.ResponseWriter, q *request, answer any) {
	out, ok := answer.(reply)
	if !ok {
		out = reply{http.StatusOK, answer}
	}
	if q.Method != http.MethodGet {
		g.count(q)
		writeJSON(w, out.status, out.body)
		return
	}
	raw, err := json.Marshal(out.body)
	if err != nil {
		writeJSON(w, http.StatusInternalServerError, object{"message": err.Error()})
		return
	}
	sum := sha256.Sum256(raw)
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	w.Header().Set("ETag", tag)
	if q.Header.Get("If-None-Match") == tag || q.Header.Get("If-None-Match") == "W/"+tag {
		g.meterOf(q).tell(w.Header()) // which is free
		w.WriteHeader(http.StatusNotModified)
		return
	}
	g.count(q)
	writeJSON(w, out.status, json.RawMessage(raw))
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	if body != nil && status != http.StatusNoContent {
		_ = json.NewEncoder(w).Encode(body) // into memory
	}
}

// refuseInvalid answers a request that is not as GitHub describes it.
func refuseInvalid(w http.ResponseWriter, err error) {
	status := http.StatusUnprocessableEntity
	if errors.Is(err, ErrUnknown) {
		status = http.StatusNotFound
	}
	writeJSON(w, status, object{"message": "Invalid request.\n\n" + err.Error()})
}

// pageOf is the part of a list that was asked for, and says where the rest is.
func pageOf[T any](g *GitHub, q *request, all []T) []T {
	size, page := q.query("per_page", 30, 100), q.query("page", 1, 1<<20)
	first := min((page-1)*size, len(all))
	end := min(first+size, len(all))
	if end < len(all) {
		q.link(g, "next", "page", strconv.Itoa(page+1))
		q.link(g, "last", "page", strconv.Itoa((len(all)+size-1)/size))
	}
	return all[first:end]
}

// link says where another page is.
func (q *request) link(g *GitHub, rel, key, value string) {
	prefix, _ := q.Context().Value(prefixKey{}).(string)
	u := url.URL{Path: prefix + q.URL.Path}
	values := q.URL.Query()
	values.Set(key, value)
	u.RawQuery = values.Encode()
	one := fmt.Sprintf("<%s%s>; rel=%q", g.URL(), u.String(), rel)
	if before := q.header.Get("Link"); before != "" {
		one = before + ", " + one
	}
	q.header.Set("Link", one)
}
