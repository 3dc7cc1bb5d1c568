package web

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"html/template"
	"net/http"
	"sync"
)

// An AppMaker makes a GitHub App out of what its owner says on GitHub's pages.
type AppMaker interface {
	// Page is where the form with the manifest is sent to, with a state that comes
	// back: the settings of an organisation, or of who looks at it if that is "". An
	// error is for who named the organisation.
	Page(organisation, state string) (string, error)
	// Manifest is the JSON that describes the App.
	Manifest() []byte
	// Make exchanges the code that GitHub sends back, once, and returns when the App
	// and its secrets are durable. It says where people install the App. An error
	// does not show a secret.
	Make(ctx context.Context, code string) (install string, err error)
}

// Paths of the set-up. SetupCallback is where GitHub sends the browser back to.
const (
	SetupPath     = "/setup/github"
	SetupCallback = SetupPath + "/callback"
)

// setupCookie holds the session of whoever came with the address that was printed.
const setupCookie = "velocity-setup"

// A Setup is the way of a server to its GitHub App: a page for whoever has the
// address that the server printed, and the one to which GitHub sends them back. It
// is there until there is an App. It is safe for concurrent use.
type Setup struct {
	maker  AppMaker
	origin string // of GitHub, to which the form is sent
	secure bool   // browsers reach us by https

	making sync.Mutex // one code at a time

	mu      sync.Mutex
	token   string // opens the page, once; "" when it did
	session string // "" before that
	state   string // of the newest form; "" when it came back
	done    bool
}

// NewSetup is a set-up that nobody has begun. origin is that of GitHub's pages, such
// as https://github.com; secure says that this server is reached by https.
func NewSetup(maker AppMaker, origin string, secure bool) *Setup {
	return &Setup{maker: maker, origin: origin, secure: secure, token: rand.Text()}
}

// Query is what the address of the page has to end with, the first time. It is for
// the owner of the server alone.
func (s *Setup) Query() string { return "?token=" + s.token }

var setupPage = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Velocity: GitHub</title></head><body>
<h1>Build repositories of GitHub</h1>
{{with .Problem}}<p><strong>{{.}}</strong></p>{{end}}
{{with .Install}}<p>The GitHub App is there, and this server has its key.</p>
<p><a href="{{.}}" rel="noreferrer">Choose the repositories to build</a></p>
{{end}}{{with .Address}}<p>GitHub makes an App that belongs to {{with $.Organisation}}the organisation {{.}}{{else}}you{{end}} and may do what this server needs: read code and pull requests, and write checks. Its key comes here and to nobody else.</p>
<form method="post" action="{{.}}"><input type="hidden" name="manifest" value="{{$.Manifest}}"><button>Make the App on GitHub</button></form>
<h2>For an organisation</h2>
<form method="post" action="{{$.Here}}"><label>Its name <input name="organisation" required maxlength="100" autocomplete="off"></label> <button>Go on</button></form>
{{end}}</body></html>
`))
})

// A setupView is what one page shows: the forms if it has an address, a link if it
// has one to install.
type setupView struct {
	Problem, Install, Address, Organisation, Manifest, Here string
}

// show answers with a page that nothing can be added to, and that nobody keeps.
func (s *Setup) show(w http.ResponseWriter, status int, v setupView) {
	v.Here = SetupPath
	guarded(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; form-action 'self' "+s.origin+"; frame-ancestors 'none'; base-uri 'none'")
	w.WriteHeader(status)
	_ = setupPage().Execute(w, v) // who has left does not need it
}

// guarded are the headers of every answer.
func guarded(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "same-origin") // with none at all, browsers would not say either that a form is ours
	w.Header().Set("X-Content-Type-Options", "nosniff")
}

// setup answers the page. The address that was printed begins the one session there
// is; all else is for that.
func (f *Front) setup(w http.ResponseWriter, r *http.Request, _ *Server) {
	s := f.Setup
	if s == nil || s.over() {
		http.NotFound(w, r)
		return
	}
	session, began := "", false
	if r.Method == http.MethodGet { // what only asks for the headers is no person
		session, began = s.enter(r.URL.Query().Get("token"))
	}
	if began {
		http.SetCookie(w, &http.Cookie{
			Name: setupCookie, Value: session, Path: SetupPath, HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteLaxMode,
		})
		guarded(w)
		http.Redirect(w, r, SetupPath, http.StatusSeeOther) // the token is not to stay in the address
		return
	}
	if !s.knows(r) {
		s.show(w, http.StatusForbidden, setupView{Problem: "This page is for whoever started the server: it printed the address, which opens it once. A new start prints a new one."})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, largestBody)
	s.form(w, r.PostFormValue("organisation"))
}

// form shows the form that goes to GitHub, with a state of its own.
func (s *Setup) form(w http.ResponseWriter, organisation string) {
	state := rand.Text()
	address, err := s.maker.Page(organisation, state)
	status, problem := http.StatusOK, ""
	if err != nil {
		status, problem, organisation = http.StatusBadRequest, err.Error(), ""
		if address, err = s.maker.Page("", state); err != nil {
			s.show(w, http.StatusInternalServerError, setupView{Problem: err.Error()})
			return
		}
	}
	s.mu.Lock()
	s.state = state
	s.mu.Unlock()
	s.show(w, status, setupView{Problem: problem, Address: address, Organisation: organisation, Manifest: string(s.maker.Manifest())})
}

// setupBack answers the browser that GitHub sends back.
func (f *Front) setupBack(w http.ResponseWriter, r *http.Request, _ *Server) {
	s := f.Setup
	if s == nil || s.over() {
		http.NotFound(w, r)
		return
	}
	s.making.Lock()
	defer s.making.Unlock()
	query := r.URL.Query()
	if !s.knows(r) || !s.returns(query.Get("state")) {
		s.show(w, http.StatusForbidden, setupView{Problem: "This did not begin on this server's page, or was done already."})
		return
	}
	// Whoever closes the page now would leave an App whose key nobody has.
	install, err := s.maker.Make(context.WithoutCancel(r.Context()), query.Get("code"))
	if err != nil {
		f.Log.Error("no GitHub App", "err", err)
		s.show(w, http.StatusBadGateway, setupView{Problem: err.Error() + ". The page " + SetupPath + " begins anew; an App that was made without its key getting here can be deleted on GitHub."})
		return
	}
	s.mu.Lock()
	s.done = true
	s.mu.Unlock()
	s.show(w, http.StatusOK, setupView{Install: install})
}

func (s *Setup) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.done
}

// enter begins the session, if the token is the one that was printed and nobody has.
func (s *Setup) enter(token string) (session string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !same(token, s.token) {
		return "", false
	}
	s.token, s.session = "", rand.Text()
	return s.session, true
}

// knows reports whether a request belongs to the session.
func (s *Setup) knows(r *http.Request) bool {
	cookie, err := r.Cookie(setupCookie)
	s.mu.Lock()
	defer s.mu.Unlock()
	return err == nil && same(cookie.Value, s.session)
}

// returns takes back the state that was sent to GitHub, once.
func (s *Setup) returns(state string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !same(state, s.state) {
		return false
	}
	s.state = ""
	return true
}

// same compares with a secret; "" is none.
func same(given, secret string) bool {
	return secret != "" && subtle.ConstantTimeCompare([]byte(given), []byte(secret)) == 1
}
