package forgetest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// GitLab's rules of when a webhook is called no more, and of its log.
const (
	failuresFree = 3  // in a row, that change nothing
	failuresLast = 40 // in a row, that disable it for good
	firstOff     = time.Minute
	longestOff   = 24 * time.Hour
	eventsKept   = 48 * time.Hour
	refsTold     = 3 // of branches, and of tags, in one push
)

// A labHook is a webhook.
type labHook struct {
	id      int64
	project *Project // nil is a system hook
	uuid    string
	url     string
	token   string
	signing string // "whsec_..."; "" if it does not sign
	events  map[string]bool
	made    time.Time
}

// hookKinds are the kinds of events that a hook may be for.
var hookKinds = []string{
	"push_events", "tag_push_events", "merge_requests_events", "note_events", "repository_update_events",
	"issues_events", "job_events", "pipeline_events",
}

// LabHook is a webhook as it is now.
type LabHook struct {
	ID            int64
	URL, Token    string
	Events        []string // kinds that it is for, sorted
	Alert         string   // executable, temporarily_disabled or disabled
	DisabledUntil time.Time
}

// AllHooks are the webhooks of a project, or with nil the system hooks.
func (g *GitLab) AllHooks(p *Project) []LabHook {
	defer g.hold()()
	var all []LabHook
	for _, h := range g.hooks {
		if h.project != p {
			continue
		}
		out := LabHook{ID: h.id, URL: h.url, Token: h.token}
		for _, kind := range sortedKeys(h.events) {
			if h.events[kind] {
				out.Events = append(out.Events, kind)
			}
		}
		out.Alert, out.DisabledUntil = g.alert(h)
		all = append(all, out)
	}
	return all
}

// Sign has a webhook sign in the manner of Standard Webhooks, with a key
// "whsec_..."; its token is not sent any more.
func (g *GitLab) Sign(tb TB, hook int64, key string) {
	tb.Helper()
	defer g.hold()()
	i := slices.IndexFunc(g.hooks, func(h *labHook) bool { return h.id == hook })
	if i < 0 {
		tb.Fatalf("there is no webhook %d", hook)
		return
	}
	g.hooks[i].signing, g.hooks[i].token = key, ""
}

// alert is whether a webhook is called, by what became of its deliveries. System
// hooks always are.
func (g *GitLab) alert(h *labHook) (string, time.Time) {
	failures, last := 0, time.Time{}
	for _, d := range g.Hooks.Log() {
		switch {
		case d.Installation != h.id:
		case d.OK():
			failures = 0
		default:
			failures, last = failures+1, d.Sent
		}
	}
	if h.project == nil || failures <= failuresFree {
		return "executable", time.Time{}
	}
	if failures >= failuresLast {
		return "disabled", time.Time{}
	}
	off := longestOff
	if doubled := failures - failuresFree - 1; doubled < 11 {
		off = firstOff << doubled
	}
	until := last.Add(off)
	if g.Clock.Now().Before(until) {
		return "temporarily_disabled", until
	}
	return "executable", time.Time{}
}

// sendProject calls the webhooks of a project that are for a kind of event.
func (g *GitLab) sendProject(p *Project, kind, header string, body object) {
	for _, h := range g.hooks {
		if alert, _ := g.alert(h); h.project == p && h.events[kind] && alert == "executable" {
			g.Hooks.Send(g.delivery(h, header, p.id, body))
		}
	}
}

// systemKinds are the kinds of the events of system hooks that are not always sent.
var systemKinds = map[string]string{
	"push": "push_events", "tag_push": "tag_push_events", "merge_request": "merge_requests_events",
	"repository_update": "repository_update_events",
}

// sendSystem calls the system hooks.
func (g *GitLab) sendSystem(event string, p *Project, body object) {
	for _, h := range g.hooks {
		if kind := systemKinds[event]; h.project == nil && (kind == "" || h.events[kind]) {
			g.Hooks.Send(g.delivery(h, "System Hook", p.id, body))
		}
	}
}

// delivery makes one, signed as the webhook signs.
func (g *GitLab) delivery(h *labHook, event string, project int64, body object) Delivery {
	raw, err := json.Marshal(body)
	if err != nil {
		g.gate.mistake(fmt.Sprintf("webhook %s: %v", event, err))
	}
	id := newGUID()
	d := Delivery{GUID: id, Event: event, Repository: project, Installation: h.id, URL: h.url, Body: raw, Header: http.Header{
		"Content-Type":          {"application/json"},
		"User-Agent":            {"GitLab/18.5.0-ee"},
		"Idempotency-Key":       {id},
		"X-Gitlab-Event":        {event},
		"X-Gitlab-Event-Uuid":   {newGUID()},
		"X-Gitlab-Instance":     {g.URL()},
		"X-Gitlab-Webhook-Uuid": {h.uuid},
	}}
	if h.token != "" {
		d.Header.Set("X-Gitlab-Token", h.token)
	}
	if h.signing != "" {
		at := strconv.FormatInt(g.Clock.Now().Unix(), 10)
		d.Header.Set("Webhook-Id", id)
		d.Header.Set("Webhook-Timestamp", at)
		d.Header.Set("Webhook-Signature", "v1,"+standardSign(h.signing, id+"."+at+"."+string(raw)))
	}
	return d
}

// standardSign is a signature of Standard Webhooks.
func standardSign(key, text string) string {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(key, "whsec_"))
	if err != nil {
		raw = []byte(key)
	}
	m := hmac.New(sha256.New, raw)
	m.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

func (g *GitLab) hookJSON(h *labHook) object {
	alert, until := g.alert(h)
	o := object{
		"id": h.id, "url": h.url, "created_at": stamp(h.made), "enable_ssl_verification": true, "alert_status": alert,
		"disabled_until": nil, "token_present": h.token != "", "signing_token_present": h.signing != "",
	}
	if !until.IsZero() {
		o["disabled_until"] = until.Format(time.RFC3339Nano)
	}
	if h.project != nil {
		o["project_id"] = h.project.id
	}
	for _, kind := range hookKinds {
		o[kind] = h.events[kind]
	}
	return o
}

// listHooks answers GET /projects/{id}/hooks and GET /hooks.
func (g *GitLab) listHooks(q *labRequest) (any, error) {
	all := []object{}
	for _, h := range g.hooks {
		if h.project == q.project {
			all = append(all, g.hookJSON(h))
		}
	}
	return labPage(g, q, all), nil
}

// createHook answers POST /projects/{id}/hooks and POST /hooks. Pushes are on unless
// they are turned off; two hooks of one address are possible.
func (g *GitLab) createHook(q *labRequest) (any, error) {
	h := &labHook{id: g.id(), project: q.project, uuid: newGUID(), events: map[string]bool{"push_events": true}, made: g.Clock.Now()}
	if err := h.set(q); err != nil {
		return nil, err
	}
	g.hooks = append(g.hooks, h)
	return created(g.hookJSON(h)), nil
}

// set changes what a request names.
func (h *labHook) set(q *labRequest) error {
	var ask map[string]any
	if err := q.decode(&ask); err != nil {
		return err
	}
	if url, ok := ask["url"].(string); ok {
		h.url = url
	}
	if !strings.HasPrefix(h.url, "http://") && !strings.HasPrefix(h.url, "https://") {
		return labRefuse(http.StatusUnprocessableEntity, "Invalid url given")
	}
	if token, ok := ask["token"].(string); ok {
		h.token = token
	}
	for _, kind := range hookKinds {
		if on, ok := ask[kind].(bool); ok {
			h.events[kind] = on
		}
	}
	return nil
}

func (g *GitLab) hook(q *labRequest) (*labHook, error) {
	for _, h := range g.hooks {
		if h.id == q.number("hook_id") && h.project == q.project {
			return h, nil
		}
	}
	return nil, labRefuse(http.StatusNotFound, "404 Not found")
}

// getHook answers GET /projects/{id}/hooks/{hook_id} and GET /hooks/{hook_id}.
func (g *GitLab) getHook(q *labRequest) (any, error) {
	h, err := g.hook(q)
	if err != nil {
		return nil, err
	}
	return g.hookJSON(h), nil
}

// editHook answers PUT /projects/{id}/hooks/{hook_id} and PUT /hooks/{hook_id}.
func (g *GitLab) editHook(q *labRequest) (any, error) {
	h, err := g.hook(q)
	if err != nil {
		return nil, err
	}
	if err := h.set(q); err != nil {
		return nil, err
	}
	return g.hookJSON(h), nil
}
