package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/velocity-ci/velocity/app/forge"
)

// A Proposal is what the page that makes the App says of it.
type Proposal struct {
	Name     string // what people will see; GitHub lets them change it
	Page     string // address of the server, for people
	Hook     string // where deliveries go; "" if the server cannot be reached, and asks by itself
	Redirect string // where GitHub sends the browser with the code
	Login    string // where it sends people who sign in; "" if they do not
	Setup    string // where it sends who installed the App; may be ""
	Public   bool   // others may install it too
}

// maxName is how many bytes the name of an App may have.
const maxName = 34

// Manifest is the JSON that a form sends in its field "manifest" to make the App.
// It asks for exactly the needs of the table.
func (p Proposal) Manifest() []byte {
	type hook struct {
		URL    string `json:"url"`
		Active bool   `json:"active"`
	}
	m := struct {
		Name        string            `json:"name"`
		URL         string            `json:"url"`
		Hook        hook              `json:"hook_attributes"`
		Redirect    string            `json:"redirect_url"`
		Callbacks   []string          `json:"callback_urls,omitempty"`
		Setup       string            `json:"setup_url,omitempty"`
		Description string            `json:"description"`
		Public      bool              `json:"public"`
		Events      []string          `json:"default_events"`
		Permissions map[string]string `json:"default_permissions"`
	}{
		Name: line(p.Name, maxName), URL: p.Page, Redirect: p.Redirect, Setup: p.Setup, Public: p.Public,
		Hook:        hook{URL: p.Hook, Active: p.Hook != ""},
		Description: "Builds what is pushed, and shows how it went.",
		Permissions: map[string]string{},
	}
	if p.Login != "" {
		m.Callbacks = []string{p.Login}
	}
	if p.Hook == "" {
		m.Hook.URL = p.Page // there has to be one
	}
	for _, n := range Needs {
		if n.Event {
			m.Events = append(m.Events, n.Name)
		} else {
			m.Permissions[n.Name] = n.Access
		}
	}
	out, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings, booleans and maps of strings
	}
	return out
}

// APIOf is the base address of the API of the GitHub that people find at an
// address, such as https://github.com or https://git.example.com.
func APIOf(web string) (string, error) {
	u, err := parseBase(web)
	if err != nil {
		return "", err
	}
	if u.Host == "github.com" {
		return DefaultAPI, nil
	}
	return u.JoinPath("api/v3/").String(), nil
}

// NewAppPage is the address that the form with the manifest is sent to: the
// settings of an organisation, or of who looks at the page if that is "". The state
// comes back with the code.
func NewAppPage(web, organisation, state string) (string, error) {
	u, err := parseBase(web)
	if err != nil {
		return "", err
	}
	below := "settings/apps/new"
	if organisation != "" {
		if !isLogin(organisation) {
			return "", fmt.Errorf("%q is not the name of an organisation", organisation)
		}
		below = "organizations/" + organisation + "/" + below
	}
	u = u.JoinPath(below)
	u.RawQuery = url.Values{"state": {state}}.Encode()
	return u.String(), nil
}

// A Registration is an App that was just made. Its secrets are not printed.
type Registration struct {
	ID            int64
	Slug          string
	Owner         string // login
	Page          string // of the App, for people
	ClientID      string
	ClientSecret  string
	WebhookSecret string
	Key           string // private key, PEM
}

// Format prints no secret, whatever the verb.
func (r Registration) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "App %d (%s)", r.ID, r.Slug)
}

// code is what GitHub sends back from the page that makes the App, of at most maxCode
// bytes.
var code = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

const maxCode = 200

// Convert exchanges the code that the manifest flow ends with for the App. It works
// once, within an hour of the flow's beginning. Of the options only the API, the
// Transport, Now and the UserAgent are used. The error is forge.ErrGone if the code
// is used up or too old.
func Convert(ctx context.Context, o Options, given string) (Registration, error) {
	if len(given) > maxCode || !code.MatchString(given) {
		return Registration{}, fmt.Errorf("%w: this is no code of GitHub's", forge.ErrInvalid)
	}
	base, err := parseBase(o.API)
	if err != nil {
		return Registration{}, err
	}
	a := &App{options: o, base: base}
	var got struct {
		ID    int64  `json:"id"`
		Slug  string `json:"slug"`
		Owner struct {
			Login string `json:"login"`
		} `json:"owner"`
		HTMLURL       string `json:"html_url"`
		ClientID      string `json:"client_id"`
		ClientSecret  string `json:"client_secret"`
		WebhookSecret string `json:"webhook_secret"`
		PEM           string `json:"pem"`
	}
	_, err = a.session(bounded{o.Transport}).ask(ctx, http.MethodPost, "app-manifests/"+given+"/conversions", nil, &got)
	if err != nil {
		return Registration{}, &withoutCode{err: err, code: given}
	}
	r := Registration{
		ID: got.ID, Slug: got.Slug, Owner: got.Owner.Login, Page: got.HTMLURL, ClientID: got.ClientID,
		ClientSecret: got.ClientSecret, WebhookSecret: got.WebhookSecret, Key: got.PEM,
	}
	if r.ID == 0 || r.Key == "" || r.WebhookSecret == "" {
		return Registration{}, errors.New("github: the answer to the code lacks the App's number, its key or its secret")
	}
	return r, nil
}

// withoutCode keeps the code out of the text of an error: a try that broke off may
// have left it good.
type withoutCode struct {
	err  error
	code string
}

func (e *withoutCode) Error() string {
	return "exchange the code for the App: " + strings.ReplaceAll(e.err.Error(), e.code, "CODE")
}

func (e *withoutCode) Unwrap() error { return e.err }
