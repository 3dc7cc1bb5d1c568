package github

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/go-github/v62/github"
)

// A Delivery is one that GitHub could not deliver.
type Delivery struct {
	GUID  string // names the event, as X-GitHub-Delivery does
	Hook  string // the webhook's number, as X-GitHub-Hook-ID says it; "" if GitHub does not
	Event string // as X-GitHub-Event does
	Body  []byte // the payload, as GitHub keeps it: equal in content to what was sent
}

// attempt is one try to deliver, as GitHub lists it.
type attempt struct {
	ID          int64     `json:"id"`
	GUID        string    `json:"guid"`
	DeliveredAt time.Time `json:"delivered_at"`
	Status      string    `json:"status"`
	Event       string    `json:"event"`
}

// Missed goes through the deliveries since a time of which no attempt succeeded,
// the oldest first, leaving out events that are not for us and those that known
// reports to be here. One body at a time is in memory. It ends with the first
// error. GitHub lists the last three days.
func (a *App) Missed(ctx context.Context, since time.Time, known func(guid string) bool) iter.Seq2[Delivery, error] {
	return func(yield func(Delivery, error) bool) {
		failed, err := a.failed(ctx, since)
		if err != nil {
			yield(Delivery{}, err)
			return
		}
		for _, at := range failed {
			if known(at.GUID) {
				continue
			}
			d, err := a.delivery(ctx, at)
			if err == nil && d.Body == nil {
				continue
			}
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}

// failed lists one attempt of each delivery that none succeeded of. All that is not
// "OK" has failed: an attempt that never reached us has no status code to ask for.
func (a *App) failed(ctx context.Context, since time.Time) ([]attempt, error) {
	arrived := map[string]bool{} // or listed already
	var out []attempt
	for cursor, n := "", 0; ; n++ {
		if n == maxPages {
			return nil, fmt.Errorf("github: more than %d deliveries since %s", maxPages*perPage, since.UTC().Format(time.RFC3339))
		}
		var some []attempt
		resp, err := a.self.get(ctx, fmt.Sprintf("app/hook/deliveries?per_page=%d%s", perPage, cursor), &some)
		if err != nil {
			return nil, fmt.Errorf("list deliveries: %w", err)
		}
		for _, at := range some {
			if at.Status == "OK" {
				arrived[at.GUID] = true
			} else if wants(at.Event) && !at.DeliveredAt.Before(since) {
				out = append(out, at)
			}
		}
		end := len(some) == 0 || some[len(some)-1].DeliveredAt.Before(since)
		if resp.Cursor == "" || end {
			break
		}
		cursor = "&cursor=" + url.QueryEscape(resp.Cursor)
	}
	slices.Reverse(out)
	return slices.DeleteFunc(out, func(at attempt) bool {
		again := arrived[at.GUID]
		arrived[at.GUID] = true
		return again
	}), nil
}

// delivery fetches the payload. It has no body if GitHub has none.
func (a *App) delivery(ctx context.Context, at attempt) (Delivery, error) {
	var whole struct {
		Request struct {
			Headers map[string]string `json:"headers"`
			Payload json.RawMessage   `json:"payload"`
		} `json:"request"`
	}
	if _, err := a.self.get(ctx, fmt.Sprintf("app/hook/deliveries/%d", at.ID), &whole); err != nil {
		return Delivery{}, fmt.Errorf("fetch delivery %s: %w", at.GUID, err)
	}
	d := Delivery{GUID: at.GUID, Event: at.Event}
	for name, value := range whole.Request.Headers {
		if strings.EqualFold(name, "X-GitHub-Hook-ID") {
			d.Hook = value
		}
	}
	if body := whole.Request.Payload; len(body) > 0 && body[0] == '{' {
		d.Body = body
	}
	return d, nil
}

// wants reports whether an event is for us.
func wants(event string) bool {
	return slices.Contains(unasked, event) ||
		slices.ContainsFunc(Needs, func(n Need) bool { return n.Event && n.Name == event })
}

// HookAddress is where GitHub sends the App's deliveries.
func (a *App) HookAddress(ctx context.Context) (string, error) {
	var c github.HookConfig
	if _, err := a.self.get(ctx, "app/hook/config", &c); err != nil {
		return "", fmt.Errorf("where deliveries go: %w", err)
	}
	return c.GetURL(), nil
}

// SetHook sends the App's deliveries to another address, or signs them with another
// secret. What is "" stays as it is. Deliveries that are under way are still signed
// with the old secret.
func (a *App) SetHook(ctx context.Context, address, secret string) error {
	c := &github.HookConfig{ContentType: github.String("json"), InsecureSSL: github.String("0")}
	if address != "" {
		c.URL = &address
	}
	if secret != "" {
		c.Secret = &secret
	}
	if _, err := a.self.ask(ctx, http.MethodPatch, "app/hook/config", c, nil); err != nil {
		return fmt.Errorf("change where deliveries go: %w", err)
	}
	return nil
}
