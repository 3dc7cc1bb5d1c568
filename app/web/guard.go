package web

import (
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
			if r, leave, err = f.enter(r, route.follow); err != nil {
				f.refuse(w, err)
				return
			}
			defer leave()
			c, _ = callerOf(r)
		}
		if !c.token.Rights.Includes(route.Need) {
			f.problem(w, http.StatusForbidden, fmt.Errorf("this needs a token with the right %s; this one has %s", route.Need, c.token.Rights))
			return
		}
		var site *Server
		if route.On == OnRepository {
			var err error
			if site, err = f.site(r, c.token); err != nil {
				f.problem(w, statusOf(err), err)
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

func (f *Front) refuse(w http.ResponseWriter, err error) {
	if !errors.Is(err, errNoToken) && !errors.Is(err, roster.ErrRefused) {
		f.Log.Error("cannot check a token", "err", err)
		f.problem(w, http.StatusInternalServerError, errors.New("the server could not check the token"))
		return
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	f.problem(w, http.StatusUnauthorized, err)
}

// An opening is one request that is being answered under a token.
type opening struct{ cut context.CancelFunc }

// enter finds out who asks. Until the caller leaves, the request ends with the
// token: when it expires, and when cut is called with its id.
func (f *Front) enter(r *http.Request, again bool) (*http.Request, func(), error) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return nil, nil, errNoToken
	}
	token, err := f.Roster.Check(r.Context(), secret)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := f.until(context.WithValue(r.Context(), callerKey{}, caller{token: token}), token.Expires)
	o := &opening{cut: cancel}
	f.hold(token.ID, o)
	leave := func() { cancel(); f.drop(token.ID, o) }
	if again { // it may have been revoked before it could be cut off
		if _, err := f.Roster.Check(ctx, secret); err != nil {
			leave()
			return nil, nil, err
		}
	}
	return r.WithContext(ctx), leave, nil
}

// until is ctx until a time; the zero time never comes.
func (f *Front) until(ctx context.Context, end time.Time) (context.Context, context.CancelFunc) {
	if end.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, end.Sub(f.Now()))
}

func (f *Front) hold(id string, o *opening) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open == nil {
		f.open = map[string]map[*opening]bool{}
	}
	if f.open[id] == nil {
		f.open[id] = map[*opening]bool{}
	}
	f.open[id][o] = true
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
	sites := slices.DeleteFunc(f.Sites.list(), func(s *Server) bool { return !token.May(roster.Read, s.Site.Identity()) })
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
			if _, err := s.Desk.Find(r.Context(), which); err == nil {
				return s, nil
			}
		}
		return nil, statusError{http.StatusNotFound, fmt.Errorf("build %s: there is none of that id here", which)}
	}
	return nil, statusError{http.StatusBadRequest, fmt.Errorf("which repository? there are %s", strings.Join(names(sites), ", "))}
}

func names(sites []*Server) []string {
	list := []string{}
	for _, s := range sites {
		list = append(list, s.Site.Called())
	}
	return list
}
