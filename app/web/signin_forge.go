package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// A Person is somebody who signed in with their login on a forge. The token is not
// printed.
type Person struct {
	Forge string // of the Way by which they came
	ID    int64  // the forge's number of them, which stays
	Login string // as of when they signed in
	Token string // the forge's, to ask it with what they may do
}

// String is how a person stands in records: by the number, too, for names pass from
// one to another.
func (p Person) String() string { return fmt.Sprintf("%s (%s %d)", p.Login, p.Forge, p.ID) }

// Format implements fmt.Formatter for all verbs.
func (p Person) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.String()) }

// MarshalText keeps the token out of JSON, and so of logs.
func (p Person) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// People know who signs in with forges.
type People interface {
	// Ways are the forges that people can sign in with now, in the order in which they
	// are offered.
	Ways() []Way
	// Known reports whether a person's token is still theirs on their forge, which is
	// asked at this moment.
	Known(ctx context.Context, p Person) (bool, error)
	// Admin reports whether the configuration names a person as one who runs the
	// server.
	Admin(p Person) bool
}

// A Way is how people sign in with their login on one forge.
type Way interface {
	// Forge is the name of the forge in paths and records, Title that for people.
	Forge() string
	Title() string
	// Address is the forge's page that asks whoever opens it whether they want to sign
	// in here. It sends them back with the state, and with a code that is good together
	// with the verifier only.
	Address(state, verifier string) string
	// Finish exchanges the code. The session ends with the token, until; the zero time
	// is no end. Errors: ErrNotSignedIn if the forge does not take the code.
	Finish(ctx context.Context, code, verifier string) (p Person, until time.Time, err error)
	// End has the forge forget a token.
	End(ctx context.Context, token string) error
}

// ErrNotSignedIn means that a forge does not say who somebody is.
var ErrNotSignedIn = errors.New("the forge does not take the code")

// CallbackPath is where a forge sends people back to who sign in.
func CallbackPath(forge string) string { return loginPath + "/" + forge + "/callback" }

const (
	// signInWithin is how long somebody may take on the forge's pages.
	signInWithin = 10 * time.Minute
	// longestToken bounds a forge's token, in bytes: the cookie with it has to stay
	// below the 4096 that browsers keep.
	longestToken = 2048
)

// A journey is a sign-in under way, as the browser keeps it, sealed.
type journey struct {
	Forge    string `json:"forge"`
	State    string `json:"state"`
	Verifier string `json:"verifier"`
	Next     string `json:"next"`
	Until    int64  `json:"until"` // seconds since 1970
}

// ways are the forges that people can sign in with.
func (f *Front) ways() []Way {
	if f.People == nil || f.Sessions == nil {
		return nil
	}
	return f.People.Ways()
}

func (f *Front) way(forge string) (Way, bool) {
	for _, way := range f.ways() {
		if way.Forge() == forge {
			return way, true
		}
	}
	return nil, false
}

// signIn sends a browser to a forge, and gives it what it has to bring back.
func (f *Front) signIn(w http.ResponseWriter, r *http.Request, _ *Server) {
	way, ok := f.way(r.PathValue("forge"))
	if !ok {
		f.pageProblem(w, r, http.StatusNotFound, errors.New("nobody can sign in that way here"))
		return
	}
	j := journey{
		Forge: way.Forge(), State: rand.Text(), Verifier: rand.Text() + rand.Text(), // of at least 43 characters: RFC 7636
		Next: within(r.URL.Query().Get("next")), Until: f.Now().Add(signInWithin).Unix(),
	}
	value, err := f.Sessions.seal(sealOfSignIn, j)
	if err != nil {
		f.broken(w, r, err)
		return
	}
	f.Sessions.set(w, signInCookie, value, signInWithin)
	guarded(w)
	http.Redirect(w, r, way.Address(j.State, j.Verifier), http.StatusSeeOther)
}

// signedIn takes back a browser that a forge sends, if it is the one that was sent
// there. Whoever brings somebody else's code signs nobody in.
func (f *Front) signedIn(w http.ResponseWriter, r *http.Request, _ *Server) {
	way, ok := f.way(r.PathValue("forge"))
	if !ok {
		f.pageProblem(w, r, http.StatusNotFound, errors.New("nobody can sign in that way here"))
		return
	}
	j, ok := f.journeyOf(r)
	if !ok || j.Forge != way.Forge() || !same(r.URL.Query().Get("state"), j.State) {
		f.offer(w, r, http.StatusForbidden, "This did not begin in this browser, or took too long. Begin again.", "/")
		return
	}
	f.Sessions.set(w, signInCookie, "", 0) // it is for one try
	if !f.guesses.open(r, f.Now()) {
		f.offer(w, r, http.StatusTooManyRequests, "Too many tries: wait a minute.", j.Next)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), askWithin)
	defer cancel()
	p, end, err := way.Finish(ctx, r.URL.Query().Get("code"), j.Verifier)
	if errors.Is(err, ErrNotSignedIn) {
		f.guesses.count(r, f.Now())
		f.offer(w, r, http.StatusForbidden, way.Title()+" did not say who you are. Begin again, and agree there.", j.Next)
		return
	}
	if err == nil && (p.ID <= 0 || p.Login == "" || p.Token == "" || len(p.Token) > longestToken) {
		err = errors.New("the answer has no person, or no token that fits into a cookie")
	}
	if err != nil {
		f.Log.Error("a forge did not say who signs in", "forge", way.Forge(), "err", err)
		f.offer(w, r, http.StatusBadGateway, way.Title()+" could not be asked who you are. Try again.", j.Next)
		return
	}
	until := f.Now().Add(longestVisit)
	if !end.IsZero() && end.Before(until) {
		until = end
	}
	p.Forge = way.Forge()
	f.Log.Info("signed in", "person", p.String())
	f.welcome(w, r, session{person: &p, until: until}, j.Next)
}

// journeyOf is the sign-in that a browser is on.
func (f *Front) journeyOf(r *http.Request) (j journey, ok bool) {
	cookie, err := r.Cookie(f.Sessions.cookie(signInCookie))
	if err != nil || !f.Sessions.open(sealOfSignIn, cookie.Value, &j) {
		return journey{}, false
	}
	return j, f.Now().Before(time.Unix(j.Until, 0))
}
