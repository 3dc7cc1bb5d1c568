package forgetest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// listEvents answers GET /projects/{id}/hooks/{hook_id}/events, newest first.
func (g *GitLab) listEvents(q *labRequest) (any, error) {
	h, err := g.hook(q)
	if err != nil {
		return nil, err
	}
	all := []object{}
	for _, d := range slices.Backward(g.Hooks.Log()) {
		if d.Installation != h.id || g.Clock.Now().Sub(d.Sent) > eventsKept {
			continue
		}
		status := strconv.Itoa(d.Status)
		if d.Status == 0 {
			status = "internal error"
		}
		header := map[string]string{}
		for name, values := range d.Header {
			header[name] = values[0]
		}
		if header["X-Gitlab-Token"] != "" {
			header["X-Gitlab-Token"] = "[REDACTED]"
		}
		all = append(all, object{
			"id": d.ID, "url": d.URL, "trigger": strings.ReplaceAll(strings.ToLower(d.Event), " ", "_") + "s", "request_headers": header,
			"request_data": json.RawMessage(d.Body), "response_headers": object{}, "response_body": string(d.Answer),
			"execution_duration": d.Took.Seconds(), "response_status": status,
		})
	}
	return labPage(g, q, all), nil
}

// testHook answers POST /projects/{id}/hooks/{hook_id}/test/{trigger}: it calls the
// webhook while it is waited for, even a disabled one.
func (g *GitLab) testHook(q *labRequest) (any, error) {
	h, err := g.hook(q)
	if err != nil {
		return nil, err
	}
	head, err := q.project.bare.Resolve("refs/heads/" + q.project.branch)
	if err != nil || head == "" {
		return nil, labRefuse(http.StatusUnprocessableEntity, "Ensure the project has at least one commit.")
	}
	body, err := q.project.pushJSON(q.token.user, "refs/heads/"+q.project.branch, head, head)
	if err != nil {
		return nil, err
	}
	maps.Copy(body, object{"object_kind": "push", "event_name": "push"})
	d := g.delivery(h, "Push Hook", q.project.id, body)
	return later(func() (any, error) {
		if d = g.Hooks.try(d); !d.OK() {
			return nil, labRefuse(http.StatusUnprocessableEntity, "the webhook answered %d %s", d.Status, d.Error)
		}
		return created(object{"message": "201 Created"}), nil
	}), nil
}

// try sends a delivery at once, whatever the faults say, and logs it.
func (s *Sender) try(d Delivery) Delivery {
	s.mu.Lock()
	s.last++
	d.ID = s.last
	s.mu.Unlock()
	d = s.post(d)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, d)
	s.changed.ring()
	return d
}
