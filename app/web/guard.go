package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/velocity-ci/velocity/storage/roster"
)

// A caller is who asks: somebody with an API token, a person who signed in with a
// forge, a stranger, or whoever may open the socket. What a person or a stranger may
// do is asked of forges; their token is the zero one, which opens nothing.
type caller struct {
	token    roster.Token
	person   *Person
	stranger bool // brings nothing, and sees what everybody may
	local    bool // over a socket: says itself who it is

	session string    // id of the session that they came with, which can be ended; "" for none
	until   time.Time // when their leave ends; zero for never
}

// asks reports whether forges are asked what the caller may.
func (c caller) asks() bool { return c.person != nil || c.stranger }

// name is who it is, for the record.
func (c caller) name() string {
	if c.person != nil {
		return c.person.String()
	}
	return c.token.Name
}

// open is under what the caller's requests are held while they are answered.
func (c caller) open() string {
	switch {
	case c.person != nil:
		return c.session
	case c.stranger:
		return string(Anybody)
	}
	return c.token.ID
}

type callerKey struct{}

func callerOf(r *http.Request) (caller, bool) {
	c, ok := r.Context().Value(callerKey{}).(caller)
	return c, ok
}

// actor is whoever did something, for the record: the token's name for somebody
// who has one, or the person, whatever they claim.
func actor(r *http.Request, claimed string) string {
	if c, ok := callerOf(r); ok && !c.local {
		return c.name()
	}
	return claimed
}

// guard answers a route to those who have the right it needs.
func (f *Front) guard(route Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if route.Need == Anybody {
			route.serve(f, w, r, nil)
			return
		}
		c, ok := callerOf(r)
		if !ok {
			var leave func()
			var err error
			if r, leave, err = f.enter(r, route); err != nil {
				f.refuse(w, r, route, err)
				return
			}
			defer leave()
			c, _ = callerOf(r)
		}
		site, err := f.admit(r, c, route)
		if err != nil {
			f.refuse(w, r, route, err)
			return
		}
		if route.follow && c.asks() {
			var stop func()
			r, stop = f.whileLet(r, c, route, site)
			defer stop()
		}
		route.serve(f, w, r, site)
	})
}

// may reports whether whoever sends a request has a right: in one repository, or for
// nil on the server. Pages ask it what to offer; what is then asked for goes through
// guard all the same.
func (f *Front) may(r *http.Request, need roster.Right, s *Server) bool {
	c, ok := callerOf(r)
	if !ok {
		return false
	}
	if s == nil {
		return c.token.Rights.Includes(need) || c.person != nil && f.People.Admin(*c.person)
	}
	may, err := f.lets(r.Context(), c, need, s)
	return err == nil && may
}

func (f *Front) problem(w http.ResponseWriter, status int, err error) { problem(w, f.Log, status, err) }

func (f *Front) reply(w http.ResponseWriter, status int, body any) { reply(w, f.Log, status, body) }

// errNoToken is for a request that brings no token.
var errNoToken = errors.New("this needs a token: Authorization: Bearer vla_…")

// deny says why a route is not answered: to a person, or to a program.
func (f *Front) deny(w http.ResponseWriter, r *http.Request, route Route, status int, err error) {
	if route.page {
		f.pageProblem(w, r, status, err)
		return
	}
	f.problem(w, status, err)
}

// errTooManyStreams is for a stream too many.
var errTooManyStreams = statusError{http.StatusTooManyRequests, errors.New("as many streams as may be are open under this token: close some")}

// refuse answers whoever did not show that they may ask.
func (f *Front) refuse(w http.ResponseWriter, r *http.Request, route Route, err error) {
	var told statusError
	if errors.As(err, &told) {
		f.deny(w, r, route, told.status, err)
		return
	}
	if !errors.Is(err, errNoToken) && !errors.Is(err, roster.ErrRefused) {
		f.Log.Error("cannot check a token", "err", err)
		f.deny(w, r, route, http.StatusInternalServerError, errors.New("the server could not check the token"))
		return
	}
	if route.page {
		f.askToSignIn(w, r, route)
		return
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	if route.reader {
		w.Header().Set("WWW-Authenticate", basicChallenge)
	}
	f.problem(w, http.StatusUnauthorized, err)
}

// A statusError is an error with the status of its answer.
type statusError struct {
	status int
	error
}

func statusOf(err error) int {
	var s statusError
	if errors.As(err, &s) {
		return s.status
	}
	return http.StatusInternalServerError
}

func names(sites []*Server) []string {
	list := []string{}
	for _, s := range sites {
		list = append(list, s.Site.Called())
	}
	return list
}
