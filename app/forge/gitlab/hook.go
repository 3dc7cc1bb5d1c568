package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
)

// A Hook is a webhook of a project, or of the whole GitLab.
type Hook struct {
	ID  int64
	URL string
	// Disabled means that GitLab does not call it: until a time, or if that is zero
	// until a test of it succeeds.
	Disabled bool
	Until    time.Time
}

// hook is a webhook as GitLab sends it.
type hook struct {
	ID    int64      `json:"id"`
	URL   string     `json:"url"`
	Alert string     `json:"alert_status"` // executable, temporarily_disabled or disabled
	Until *time.Time `json:"disabled_until"`
}

func (h hook) known() Hook {
	out := Hook{ID: h.ID, URL: h.URL, Disabled: h.Alert != "" && h.Alert != "executable"}
	if out.Disabled && h.Until != nil && h.Alert != "disabled" {
		out.Until = *h.Until
	}
	return out
}

// An Events is a kind of event that a webhook may be called for.
type Events string

// Kinds of events.
const (
	PushEvents   Events = "push_events"
	TagEvents    Events = "tag_push_events"
	MergeEvents  Events = "merge_requests_events"
	NoteEvents   Events = "note_events"              // commands in comments; not of system hooks
	UpdateEvents Events = "repository_update_events" // of system hooks: any push, however many refs
)

// Kinds of events that Velocity wants.
var (
	ProjectEvents = []Events{PushEvents, TagEvents, MergeEvents, NoteEvents}
	SystemEvents  = []Events{PushEvents, TagEvents, MergeEvents, UpdateEvents}
)

// ProjectHook finds the webhook of a project that calls an address. It is a
// forge.ErrGone if there is none.
func (g *GitLab) ProjectHook(ctx context.Context, project int64, address string) (Hook, error) {
	h, err := g.findHook(ctx, within(project, "hooks"), address)
	if err == nil && h.ID == 0 {
		err = fmt.Errorf("%w: project %d has no webhook for this server", forge.ErrGone, project)
	}
	return h.known(), err
}

// ConnectProject makes a project's webhook call an address, with a secret token and
// for some kinds of events only. One that calls the address already is brought up to
// date; if GitLab has stopped calling it, GitLab is asked to try it, and its answer
// is the error if that does not help. The token's user has to be a Maintainer.
func (g *GitLab) ConnectProject(ctx context.Context, project int64, address, secret string, events []Events) (Hook, error) {
	at := within(project, "hooks")
	h, err := g.connect(ctx, at, address, secret, ProjectEvents, events)
	if errors.Is(err, forge.ErrForbidden) {
		err = fmt.Errorf("%w (webhooks of a project are for its Maintainers: give the token that role)", err)
	}
	if err != nil {
		return Hook{}, fmt.Errorf("connect project %d: %w", project, err)
	}
	if !h.Disabled {
		return h, nil
	}
	if err := g.ask(ctx, http.MethodPost, fmt.Sprintf("%s/%d/test/%s", at, h.ID, PushEvents), nil, nil); err != nil {
		return h, fmt.Errorf("project %d is connected, but GitLab has disabled the webhook, and a test of it failed: %w", project, err)
	}
	h.Disabled, h.Until = false, time.Time{}
	return h, nil
}

// ConnectSystem does the same with a system hook, which is called for all projects.
// The token's user has to be an administrator of the GitLab.
func (g *GitLab) ConnectSystem(ctx context.Context, address, secret string, events []Events) (Hook, error) {
	h, err := g.connect(ctx, "hooks", address, secret, SystemEvents, events)
	if errors.Is(err, forge.ErrForbidden) {
		err = fmt.Errorf("%w (system hooks are for administrators of the GitLab; there are none on gitlab.com: "+
			"connect projects or groups one by one)", err)
	}
	if err != nil {
		return Hook{}, fmt.Errorf("connect all of GitLab: %w", err)
	}
	return h, nil
}

// connect makes a hook, or changes the one that there is. All kinds of events are
// said: what is left out is on for some of them.
func (g *GitLab) connect(ctx context.Context, at, address, secret string, all, events []Events) (Hook, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return Hook{}, fmt.Errorf("%w: %q is not an address that GitLab can call", forge.ErrInvalid, address)
	}
	if secret == "" {
		return Hook{}, fmt.Errorf("%w: a webhook without a secret", forge.ErrInvalid)
	}
	old, err := g.findHook(ctx, at, address)
	if err != nil {
		return Hook{}, err
	}
	body := map[string]any{"url": address, "token": secret, "enable_ssl_verification": true}
	for _, kind := range all {
		body[string(kind)] = slices.Contains(events, kind)
	}
	method := http.MethodPost
	if old.ID != 0 {
		method, at = http.MethodPut, fmt.Sprintf("%s/%d", at, old.ID)
	}
	var now hook
	if err := g.ask(ctx, method, at, body, &now); err != nil {
		return Hook{}, err
	}
	return now.known(), nil
}

// findHook finds the oldest hook that calls an address; its ID is 0 if there is none.
func (g *GitLab) findHook(ctx context.Context, at, address string) (hook, error) {
	var oldest hook
	err := list(ctx, g, at, nil, func(some []hook) bool {
		for _, h := range some {
			if strings.TrimSuffix(h.URL, "/") == strings.TrimSuffix(address, "/") && (oldest.ID == 0 || h.ID < oldest.ID) {
				oldest = h
			}
		}
		return true
	})
	return oldest, err
}
