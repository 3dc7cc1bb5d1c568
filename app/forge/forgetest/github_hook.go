package forgetest

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// deliveriesKept is how long GitHub keeps deliveries.
const deliveriesKept = 3 * 24 * time.Hour

// unasked are the events that an App gets without listening to them.
var unasked = []string{"installation", "installation_repositories", "ping"}

// hears reports whether the App is sent an event of an installation.
func (in *Installation) hears(event, action string) bool {
	switch {
	case slices.Contains(unasked, event), slices.Contains(in.events, event):
		return true
	case event == "check_suite":
		return in.permissions["checks"] == "write" && action != "completed"
	case event == "check_run":
		return in.permissions["checks"] == "write" && (action == "rerequested" || action == "requested_action")
	}
	return false
}

// send sends an event to the App, if it listens and can be reached. The lock is held.
func (g *GitHub) send(in *Installation, r *Repo, event, action string, by *Account, body object) {
	if in == nil || in.gone || g.app.hook.URL == "" || !in.hears(event, action) || !in.suspended.IsZero() && event != "installation" {
		return
	}
	if action != "" {
		body["action"] = action
	}
	body["sender"] = g.userJSON(by)
	body["installation"] = object{"id": in.id, "node_id": node("MDIzOkludGVncmF0aW9uSW5zdGFsbGF0aW9u", in.id)}
	if event == "installation" || event == "installation_repositories" {
		body["installation"] = g.installationJSON(in)
	}
	d := Delivery{GUID: newGUID(), Event: event, Action: action, Installation: in.id}
	if r != nil {
		body["repository"] = g.repoJSON(r)
		d.Repository = r.id
		if r.owner.Type == "Organization" {
			body["organization"] = g.organizationJSON(r.owner)
		}
	}
	raw, err := json.Marshal(body)
	if err != nil {
		g.gate.mistake(fmt.Sprintf("webhook %s %s: %v", event, action, err))
		return
	}
	d.Body = raw
	g.compareHook(event, action, raw)
	g.post(d)
}

// compareHook holds a webhook against GitHub's description of it.
func (g *GitHub) compareHook(event, action string, body []byte) {
	if g.webhooks == nil {
		return
	}
	path := "/" + event
	if action != "" {
		path += "-" + action
	}
	path = strings.ReplaceAll(path, "_", "-") // as the description names them
	if err := withoutFlaws(g.webhooks.CheckBody(path, body)); err != nil {
		g.gate.mistake(fmt.Sprintf("webhook %s: %v", path, err))
	}
}

// post signs a delivery and sends it.
func (g *GitHub) post(d Delivery) {
	h := g.app.hook
	d.URL = h.URL
	content, sent := "application/json", d.Body
	if h.Form {
		content, sent = "application/x-www-form-urlencoded", []byte(url.Values{"payload": {string(d.Body)}}.Encode())
	}
	d.Header = http.Header{
		"Accept":                                 {"*/*"},
		"Content-Type":                           {content},
		"User-Agent":                             {"GitHub-Hookshot/044aadd"},
		"X-Github-Delivery":                      {d.GUID},
		"X-Github-Event":                         {d.Event},
		"X-Github-Hook-Id":                       {strconv.FormatInt(g.app.ID+1, 10)},
		"X-Github-Hook-Installation-Target-Id":   {strconv.FormatInt(g.app.ID, 10)},
		"X-Github-Hook-Installation-Target-Type": {"integration"},
	}
	if h.Secret != "" {
		d.Header.Set("X-Hub-Signature", "sha1="+sign(sha1.New, h.Secret, sent))
		d.Header.Set("X-Hub-Signature-256", "sha256="+sign(sha256.New, h.Secret, sent))
	}
	d.Body = sent
	g.Hooks.Send(d)
}

func sign(algorithm func() hash.Hash, secret string, body []byte) string {
	m := hmac.New(algorithm, []byte(secret))
	m.Write(body)
	return hex.EncodeToString(m.Sum(nil))
}

// Ping sends the ping of the App's webhook.
func (g *GitHub) Ping() {
	defer g.hold()()
	now := stamp(g.Clock.Now())
	body, err := json.Marshal(object{
		"zen": "Keep it logically awesome.", "hook_id": g.app.ID + 1,
		"hook": object{
			"type": "App", "id": g.app.ID + 1, "name": "web", "active": true, "app_id": g.app.ID, "events": g.app.Events,
			"config": g.hookJSON(), "created_at": now, "updated_at": now, "deliveries_url": g.URL() + "/api/v3/app/hook/deliveries",
		},
	})
	if err != nil {
		g.gate.mistake(err.Error())
		return
	}
	g.compareHook("ping", "", body)
	g.post(Delivery{GUID: newGUID(), Event: "ping", Body: body})
}

// hookJSON is the webhook's configuration, without what is secret.
func (g *GitHub) hookJSON() object {
	o := object{"url": g.app.hook.URL, "content_type": "json", "insecure_ssl": "0"}
	if g.app.hook.Form {
		o["content_type"] = "form"
	}
	if g.app.hook.Secret != "" {
		o["secret"] = "********"
	}
	return o
}

// getHook answers GET /app/hook/config.
func (g *GitHub) getHook(*request) (any, error) { return g.hookJSON(), nil }

// setHook answers PATCH /app/hook/config.
func (g *GitHub) setHook(q *request) (any, error) {
	var ask struct {
		URL, Secret *string
		Content     *string `json:"content_type"`
	}
	if err := q.decode(&ask); err != nil {
		return nil, err
	}
	if ask.URL != nil {
		g.app.hook.URL = *ask.URL
	}
	if ask.Secret != nil {
		g.app.hook.Secret = *ask.Secret
	}
	if ask.Content != nil {
		g.app.hook.Form = *ask.Content == "form"
	}
	return g.hookJSON(), nil
}

// deliveries are those that are kept, newest first.
func (g *GitHub) deliveries() []Delivery {
	log := slices.DeleteFunc(g.Hooks.Log(), func(d Delivery) bool { return g.Clock.Now().Sub(d.Sent) > deliveriesKept })
	slices.SortFunc(log, func(a, b Delivery) int { return int(b.ID - a.ID) })
	return log
}

// deliveryJSON is a line of the log of deliveries.
func deliveryJSON(d Delivery) object {
	status := "OK"
	switch {
	case d.Status == 0:
		status = d.Error
	case !d.OK():
		status = fmt.Sprintf("Invalid HTTP Response: %d", d.Status)
	}
	return object{
		"id": d.ID, "guid": d.GUID, "delivered_at": stamp(d.Sent), "redelivery": d.Redelivery, "duration": d.Took.Seconds(),
		"status": status, "status_code": d.Status, "event": d.Event, "action": orNull(d.Action),
		"installation_id": orNull(d.Installation), "repository_id": orNull(d.Repository), "throttled_at": nil, "url": d.URL,
	}
}

// listDeliveries answers GET /app/hook/deliveries. A cursor is the number of the
// delivery that a page begins after.
func (g *GitHub) listDeliveries(q *request) (any, error) {
	values := q.URL.Query()
	after, err := strconv.ParseInt(values.Get("cursor"), 10, 64)
	if values.Get("cursor") != "" && err != nil {
		return nil, wrong("cursor %q is none of ours", values.Get("cursor"))
	}
	size, page := q.query("per_page", 30, 100), []object{}
	for _, d := range g.deliveries() {
		failed := d.Status >= 400 && d.Status < 600
		if after != 0 && d.ID >= after || values.Get("status") == "failure" && !failed ||
			values.Get("status") == "success" && (d.Status < 200 || failed) {
			continue
		}
		if len(page) == size {
			q.link(g, "next", "cursor", fmt.Sprint(page[size-1]["id"]))
			break
		}
		page = append(page, deliveryJSON(d))
	}
	return page, nil
}

// delivery is the one of the path.
func (g *GitHub) delivery(q *request) (Delivery, error) {
	all := g.deliveries()
	if i := slices.IndexFunc(all, func(d Delivery) bool { return d.ID == q.number("delivery_id") }); i >= 0 {
		return all[i], nil
	}
	return Delivery{}, notFound
}

// getDelivery answers GET /app/hook/deliveries/{delivery_id}.
func (g *GitHub) getDelivery(q *request) (any, error) {
	d, err := g.delivery(q)
	if err != nil {
		return nil, err
	}
	header := object{}
	for k, v := range d.Header {
		header[k] = v[0]
	}
	o := deliveryJSON(d)
	maps.Copy(o, object{
		"request":  object{"headers": header, "payload": json.RawMessage(payloadOf(d))},
		"response": object{"headers": object{}, "payload": string(d.Answer)},
	})
	return o, nil
}

// payloadOf is what a delivery said, in either content type.
func payloadOf(d Delivery) []byte {
	if strings.HasPrefix(d.Header.Get("Content-Type"), "application/json") {
		return d.Body
	}
	form, err := url.ParseQuery(string(d.Body))
	if err != nil {
		return nil // we wrote it
	}
	return []byte(form.Get("payload"))
}

// redeliver answers POST /app/hook/deliveries/{delivery_id}/attempts.
func (g *GitHub) redeliver(q *request) (any, error) {
	d, err := g.delivery(q)
	if err != nil {
		return nil, err
	}
	g.post(Delivery{
		GUID: d.GUID, Event: d.Event, Action: d.Action, Repository: d.Repository, Installation: d.Installation,
		Body: payloadOf(d), Redelivery: true,
	})
	return reply{http.StatusAccepted, object{}}, nil
}
