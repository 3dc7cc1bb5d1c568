package forgetest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	primary = 5000 // requests an hour, of one installation
	window  = time.Hour
)

// admit decides who asks, and whether they may.
func (g *GitHub) admit(q *request, who string) error {
	if who == anybody {
		return nil
	}
	value := bearer(q.Header.Get("Authorization"))
	if who == theApp {
		if value == "" {
			return &refusal{status: http.StatusUnauthorized, message: "A JSON web token could not be decoded"}
		}
		return g.checkJWT(value)
	}
	t := g.tokens[value]
	if err := g.tokenError(t); err != nil {
		return err
	}
	q.token = t
	if err := g.spend(q); err != nil || who == anyToken {
		return err
	}
	return g.admitTo(q, who)
}

// admitTo decides whether a token may do something in the repository of the path.
func (g *GitHub) admitTo(q *request, who string) error {
	r, moved := g.repo(q.PathValue("owner"), q.PathValue("repo"))
	permission, level, _ := strings.Cut(who, ":")
	switch {
	case r == nil || r.deleted:
		return notFound
	case !q.token.reaches(r):
		if level == "write" && !r.private {
			return forbidden // that it is there is no secret
		}
		return notFound
	case moved:
		return g.redirect(q, r)
	case !q.token.allows(permission, level) || q.token.who != nil && level == "write":
		return forbidden
	case r.archived && level == "write":
		return &refusal{status: http.StatusForbidden, message: "Repository was archived so is read-only."}
	}
	q.repo = r
	return nil
}

// redirect says where a repository is now: by its number.
func (g *GitHub) redirect(q *request, r *Repo) error {
	prefix, _ := q.Context().Value(prefixKey{}).(string)
	rest := strings.SplitN(strings.TrimPrefix(q.URL.Path, "/repos/"), "/", 3)
	where := fmt.Sprintf("%s%s/repositories/%d", g.URL(), prefix, r.id)
	if len(rest) == 3 {
		where += "/" + rest[2]
	}
	if q.URL.RawQuery != "" {
		where += "?" + q.URL.RawQuery
	}
	status := http.StatusMovedPermanently
	if q.Method != http.MethodGet {
		status = http.StatusTemporaryRedirect
	}
	return &refusal{status: status, message: "Moved Permanently", header: http.Header{"Location": {where}}}
}

// bearer is the credential of a request; "" if it has none.
func bearer(authorization string) string {
	scheme, value, _ := strings.Cut(authorization, " ")
	if strings.EqualFold(scheme, "bearer") || strings.EqualFold(scheme, "token") {
		return strings.TrimSpace(value)
	}
	return ""
}

// A meter counts the requests of an installation.
type meter struct {
	used   int
	reset  time.Time
	writes []time.Time // of the last minute
}

// tell says in an answer how much is left.
func (m *meter) tell(h http.Header) {
	h.Set("X-Ratelimit-Limit", strconv.Itoa(primary))
	h.Set("X-Ratelimit-Remaining", strconv.Itoa(max(primary-m.used, 0)))
	h.Set("X-Ratelimit-Used", strconv.Itoa(m.used))
	h.Set("X-Ratelimit-Reset", strconv.FormatInt(m.reset.Unix(), 10))
	h.Set("X-Ratelimit-Resource", "core")
}

// meterOf is the meter of who asks.
func (g *GitHub) meterOf(q *request) *meter {
	var id int64
	if q.token != nil {
		id = q.token.meter()
	}
	now := g.Clock.Now()
	m := g.meters[id]
	if m == nil || !now.Before(m.reset) {
		m = &meter{reset: now.Add(window)}
		g.meters[id] = m
	}
	return m
}

// count counts a request that was answered.
func (g *GitHub) count(q *request) {
	m := g.meterOf(q)
	m.used++
	m.tell(q.header)
}

// spend refuses a request that is too many, by either limit.
func (g *GitHub) spend(q *request) error {
	m := g.meterOf(q)
	if m.used >= primary {
		return &refusal{status: http.StatusForbidden, message: "API rate limit exceeded for installation."}
	}
	if g.writes == 0 || q.Method == http.MethodGet {
		return nil
	}
	now := g.Clock.Now()
	for len(m.writes) > 0 && now.Sub(m.writes[0]) >= time.Minute {
		m.writes = m.writes[1:]
	}
	if len(m.writes) >= g.writes {
		return &refusal{status: http.StatusForbidden, message: secondary, header: http.Header{"Retry-After": {"60"}}}
	}
	m.writes = append(m.writes, now)
	return nil
}

const secondary = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."

// refuseLimited answers a request that faults made one too many.
func (g *GitHub) refuseLimited(w http.ResponseWriter, m Mishap) {
	h := w.Header()
	message := secondary
	left := meter{used: 1, reset: g.Clock.Now().Add(window)}
	switch {
	case m.Exhausted:
		left.used, message = primary, "API rate limit exceeded for installation."
		left.tell(h)
	case m.RetryAfter > 0:
		h.Set("Retry-After", strconv.Itoa(int(m.RetryAfter.Seconds())))
		left.tell(h)
	} // otherwise only the text says it
	writeJSON(w, m.status(http.StatusForbidden), object{"message": message})
}

// rateLimit answers GET /rate_limit.
func (g *GitHub) rateLimit(q *request) (any, error) {
	m := g.meterOf(q)
	core := object{"limit": primary, "used": m.used, "remaining": primary - m.used, "reset": m.reset.Unix()}
	return object{"rate": core, "resources": object{"core": core, "search": core}}, nil
}

// meta answers GET /meta.
func (g *GitHub) meta(*request) (any, error) {
	return object{"verifiable_password_authentication": false, "hooks": []string{"127.0.0.0/8", "::1/128"}}, nil
}
