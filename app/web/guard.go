package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/storage/roster"
)

// A caller is who asks.
type caller struct {
	token roster.Token
	local bool // over a socket: says itself who it is

	session bool // came with a session, which can be ended
}

type callerKey struct{}

func callerOf(r *http.Request) (caller, bool) {
	c, ok := r.Context().Value(callerKey{}).(caller)
	return c, ok
}

// actor is whoever did something, for the record: the token's name for somebody
// who has one, whatever they claim.
func actor(r *http.Request, claimed string) string {
	if c, ok := callerOf(r); ok && !c.local {
		return c.token.Name
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
		if !c.token.Rights.Includes(route.Need) {
			f.deny(w, r, route, http.StatusForbidden, fmt.Errorf("this needs a token with the right %s; this one has %s", route.Need, c.token.Rights))
			return
		}
		var site *Server
		if route.On == OnRepository {
			var err error
			if site, err = f.site(r, c.token); err != nil {
				f.deny(w, r, route, statusOf(err), err)
				return
			}
		}
		route.serve(f, w, r, site)
	})
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
var errTooManyStreams = errors.New("as many streams as may be are open under this token: close some")

// refuse answers whoever did not show that they may ask.
func (f *Front) refuse(w http.ResponseWriter, r *http.Request, route Route, err error) {
	if errors.Is(err, errTooManyStreams) {
		f.deny(w, r, route, http.StatusTooManyRequests, err)
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

// An opening is one request that is being answered under a token.
type opening struct {
	cut    context.CancelFunc
	stream bool
}

// bearer is the token that a request brings.
func (f *Front) bearer(r *http.Request) (roster.Token, error) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return roster.Token{}, errNoToken
	}
	return f.Roster.Check(r.Context(), secret)
}

// enter finds out who asks. Until the caller leaves, the request ends with the
// token: when it expires, and when cut is called with its id. After an error the
// request is as it came.
func (f *Front) enter(r *http.Request, route Route) (*http.Request, func(), error) {
	who := f.bearer
	switch {
	case route.page:
		who = f.visitor
	case route.reader:
		who = f.subscriber
	}
	token, err := who(r)
	if err != nil {
		return r, nil, err
	}
	ctx, cancel := f.until(context.WithValue(r.Context(), callerKey{}, caller{token: token, session: route.page}), token.Expires)
	o := &opening{cut: cancel, stream: route.follow}
	if !f.hold(token.ID, o) {
		cancel()
		return r, nil, errTooManyStreams
	}
	leave := func() { cancel(); f.drop(token.ID, o) }
	entered := r.WithContext(ctx)
	if route.follow { // it may have been revoked before it could be cut off
		if _, err := who(entered); err != nil {
			leave()
			return r, nil, err
		}
	}
	return entered, leave, nil
}

// until is ctx until a time; the zero time never comes.
func (f *Front) until(ctx context.Context, end time.Time) (context.Context, context.CancelFunc) {
	if end.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, end.Sub(f.Now()))
}

// hold notes a request, unless it is a stream and there are enough of them under
// the token.
func (f *Front) hold(id string, o *opening) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	streams := 0
	for other := range f.open[id] {
		if other.stream {
			streams++
		}
	}
	if o.stream && streams >= cmp.Or(f.Streams, DefaultStreams) {
		return false
	}
	if f.open == nil {
		f.open = map[string]map[*opening]bool{}
	}
	if f.open[id] == nil {
		f.open[id] = map[*opening]bool{}
	}
	f.open[id][o] = true
	return true
}

func (f *Front) drop(id string, o *opening) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open[id], o)
	if len(f.open[id]) == 0 {
		delete(f.open, id)
	}
}

// cut ends what is being answered under a token.
func (f *Front) cut(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for o := range f.open[id] {
		o.cut()
	}
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

// site finds the repository that a request is about: by its name, by the build's
// id, or because the token opens no other. Repositories that it does not open are
// to it as if they were not there.
func (f *Front) site(r *http.Request, token roster.Token) (*Server, error) {
	sites := f.sitesOf(token)
	if name := r.URL.Query().Get(api.ParamRepository); name != "" {
		return theSite(sites, name)
	}
	if len(sites) == 1 {
		return sites[0], nil
	}
	which := r.URL.Query().Get(api.ParamBuild)
	if which == "" {
		which = r.PathValue("id")
	}
	if _, err := build.ParseID(which); err == nil {
		for _, s := range sites {
			if _, err := s.lookUp(r.Context(), which); err == nil {
				return s, nil
			}
		}
		return nil, statusError{http.StatusNotFound, fmt.Errorf("build %s: there is none of that id here", which)}
	}
	return nil, statusError{http.StatusBadRequest, fmt.Errorf("which repository? there are %s", strings.Join(names(sites), ", "))}
}

// sitesOf are the sites that a token may read.
func (f *Front) sitesOf(token roster.Token) []*Server {
	return slices.DeleteFunc(f.Sites.list(), func(s *Server) bool { return !token.May(roster.Read, s.Site.Identity()) })
}

func names(sites []*Server) []string {
	list := []string{}
	for _, s := range sites {
		list = append(list, s.Site.Called())
	}
	return list
}
