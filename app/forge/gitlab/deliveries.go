package gitlab

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// A Delivery is one that GitLab could not deliver.
type Delivery struct {
	Key    string      // names the event: its Idempotency-Key, "" before GitLab 17.4
	Header http.Header // as it was sent, without what is secret
	Body   []byte      // as GitLab keeps it: equal in content to what was sent
}

// GitLab's limits of the log of a webhook.
const (
	perLog  = 20 // entries of a page
	maxLogs = 50 // pages; GitLab keeps about two days
)

// event is an entry of the log of a webhook.
type event struct {
	ID      int64             `json:"id"`
	Status  json.RawMessage   `json:"response_status"`
	Header  map[string]string `json:"request_headers"`
	Request json.RawMessage   `json:"request_data"`
}

// arrived reports whether the receiver took it. Where there was no answer, the
// status is words.
func (e event) arrived() bool {
	text := string(e.Status)
	if said, err := strconv.Unquote(text); err == nil {
		text = said
	}
	status, err := strconv.Atoi(text)
	return err == nil && status >= 200 && status < 300
}

// Missed lists the deliveries of a project's webhook of which no attempt succeeded,
// the oldest first, leaving out those that known reports to be here. It reads up to a
// thousand entries of the log. System hooks have no log.
func (g *GitLab) Missed(ctx context.Context, project, hook int64, known func(key string) bool) ([]Delivery, error) {
	seen := map[string]bool{} // by key: arrived, or in out already
	var out []Delivery
	query := url.Values{"per_page": {strconv.Itoa(perLog)}}
	pages := 0
	err := list(ctx, g, within(project, "hooks/%d/events", hook), query, func(some []event) bool {
		for _, e := range some {
			d := e.delivery()
			again := d.Key != "" && seen[d.Key]
			seen[d.Key] = true
			if !e.arrived() && !again && len(d.Body) > 0 && (d.Key == "" || !known(d.Key)) {
				out = append(out, d)
			}
		}
		pages++
		return pages < maxLogs
	})
	if err != nil {
		return nil, fmt.Errorf("log of webhook %d of project %d: %w", hook, project, err)
	}
	slices.Reverse(out)
	return out, nil
}

func (e event) delivery() Delivery {
	d := Delivery{Header: http.Header{}}
	for name, value := range e.Header {
		d.Header.Set(name, value)
	}
	d.Header.Del("X-Gitlab-Token")
	d.Key = d.Header.Get("Idempotency-Key")
	if len(e.Request) > 0 && e.Request[0] == '{' {
		d.Body = e.Request
	}
	return d
}
