package forgetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// codeLife is how long the code of the manifest flow is good.
const codeLife = time.Hour

// A conversion is an App that waits for its code.
type conversion struct {
	app     *App
	expires time.Time
}

// manifest is what a form makes an App of.
type manifest struct {
	Name string `json:"name"`
	URL  string `json:"url"`
	Hook struct {
		URL    string `json:"url"`
		Active *bool  `json:"active"`
	} `json:"hook_attributes"`
	Redirect    string            `json:"redirect_url"`
	Callbacks   []string          `json:"callback_urls"`
	Setup       string            `json:"setup_url"`
	Public      bool              `json:"public"`
	Events      []string          `json:"default_events"`
	Permissions map[string]string `json:"default_permissions"`
}

// needed are the permissions that an event needs one of.
var needed = map[string][]string{
	"push": {"contents"}, "pull_request": {"pull_requests"}, "merge_group": {"merge_queues"},
	"issue_comment": {"issues", "pull_requests"}, "repository": {"metadata"}, "check_run": {"checks"}, "check_suite": {"checks"},
	"status": {"statuses"}, "create": {"contents"}, "delete": {"contents"},
}

// check is what GitHub's page would say is wrong. A webhook on loopback is taken,
// since tests have no other.
func (m manifest) check() error {
	for what, address := range map[string]string{"url": m.URL, "hook_attributes.url": m.Hook.URL, "redirect_url": m.Redirect} {
		if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("%s %q is no address", what, address)
		}
	}
	if len(m.Name) > 34 {
		return fmt.Errorf("name is longer than 34 characters")
	}
	if len(m.Callbacks) > 10 {
		return fmt.Errorf("more than 10 callback_urls")
	}
	for permission, level := range m.Permissions {
		if level != "read" && level != "write" {
			return fmt.Errorf("permission %s is %q", permission, level)
		}
	}
	for _, event := range m.Events {
		if slices.Contains(unasked, event) {
			return fmt.Errorf("default event %s is sent unasked", event)
		}
		if !slices.ContainsFunc(needed[event], func(p string) bool { return m.Permissions[p] != "" || p == "metadata" }) {
			return fmt.Errorf("default event %s is unknown, or lacks one of the permissions %v", event, needed[event])
		}
	}
	return nil
}

// serveManifest answers the form that makes an App. The person agrees at once.
func (g *GitHub) serveManifest(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "the form is posted", http.StatusMethodNotAllowed)
		return
	}
	var m manifest
	err := json.Unmarshal([]byte(r.PostFormValue("manifest")), &m)
	if err == nil {
		err = m.check()
	}
	if err != nil {
		g.gate.violate(fmt.Sprintf("manifest: %v", err))
		http.Error(w, "Invalid GitHub App configuration: "+err.Error(), http.StatusUnprocessableEntity)
		return
	}
	back, err := url.Parse(m.Redirect)
	if err != nil {
		return // check parsed it
	}
	values := back.Query()
	values.Set("code", g.conversion(m))
	if state := r.URL.Query().Get("state"); state != "" {
		values.Set("state", state)
	}
	back.RawQuery = values.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

// conversion keeps the App that a manifest describes until its code comes.
func (g *GitHub) conversion(m manifest) string {
	defer g.hold()()
	slug := strings.ToLower(strings.ReplaceAll(m.Name, " ", "-"))
	if slug == "" {
		slug = "velocity-" + newSecret()[:6]
	}
	permissions := maps.Clone(m.Permissions)
	if permissions == nil {
		permissions = map[string]string{}
	}
	permissions["metadata"] = "read" // comes with everything
	h := hook{URL: m.Hook.URL, Secret: newSecret()}
	if m.Hook.Active != nil && !*m.Hook.Active {
		h.URL = ""
	}
	code := newSecret()
	app := g.newApp(slug, permissions, m.Events, h)
	app.Callbacks = m.Callbacks
	g.codes[code] = conversion{app: app, expires: g.Clock.Now().Add(codeLife)}
	return code
}

// convertManifest answers POST /app-manifests/{code}/conversions, once.
func (g *GitHub) convertManifest(q *request) (any, error) {
	code := q.PathValue("code")
	c, ok := g.codes[code]
	delete(g.codes, code)
	if !ok || !g.Clock.Now().Before(c.expires) {
		return nil, notFound
	}
	g.app = c.app
	o := g.appJSON(g.app)
	maps.Copy(o, object{
		"client_secret": g.app.ClientSecret, "webhook_secret": g.app.hook.Secret, "pem": g.app.PEM(),
	})
	return created(o), nil
}
