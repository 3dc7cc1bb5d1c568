package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/web/page"
	"github.com/velocity-ci/velocity/storage/roster"
)

// Paths of signing in and out. Below the first are those of forges.
const (
	loginPath  = "/login"
	logoutPath = "/logout"
)

// signInRoutes are the lines of the table of signing in and out.
func signInRoutes() []Route {
	return []Route{
		{Pattern: "GET " + loginPath, Need: Anybody, page: true, serve: (*Front).loginForm},
		{Pattern: "POST " + loginPath, Need: Anybody, page: true, serve: (*Front).login},
		{Pattern: "GET " + loginPath + "/{forge}", Need: Anybody, page: true, serve: (*Front).signIn},
		{Pattern: "GET " + loginPath + "/{forge}/callback", Need: Anybody, page: true, serve: (*Front).signedIn},
		{Pattern: "POST " + logoutPath, Need: Anybody, page: true, serve: (*Front).logout},
	}
}

// askToSignIn sends a person to the form, and back when they are signed in. What a
// script asks for is only refused.
func (f *Front) askToSignIn(w http.ResponseWriter, r *http.Request, route Route) {
	guarded(w)
	if route.follow {
		http.Error(w, "sign in again", http.StatusUnauthorized)
		return
	}
	http.Redirect(w, r, signInAddress(standsOn(r)), http.StatusSeeOther) // what is sent by a form is not sent again
}

// signInAddress is where people sign in who then go on to a path of ours.
func signInAddress(next string) string {
	return loginPath + "?" + url.Values{"next": {next}}.Encode()
}

func (f *Front) loginForm(w http.ResponseWriter, r *http.Request, _ *Server) {
	f.offer(w, r, http.StatusOK, "", within(r.URL.Query().Get("next")))
}

// offer shows the ways to sign in, with what went wrong before.
func (f *Front) offer(w http.ResponseWriter, r *http.Request, status int, problem, next string) {
	v := page.Login{Problem: problem, Next: next}
	for _, way := range f.ways() {
		v.Ways = append(v.Ways, page.LoginWay{Name: way.Title(), Forge: way.Forge()})
	}
	f.page(w, r, status, v)
}

// login begins a session for whoever has a token.
func (f *Front) login(w http.ResponseWriter, r *http.Request, _ *Server) {
	if !f.sameOrigin(w, r) {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyWithin)) // where a connection has none, none is needed
	r.Body = http.MaxBytesReader(w, r.Body, largestBody)
	next := within(r.PostFormValue("next"))
	if f.Sessions == nil {
		f.pageProblem(w, r, http.StatusNotFound, errors.New("nobody can sign in here"))
		return
	}
	if !f.logins.allow(r, f.Now()) {
		f.offer(w, r, http.StatusTooManyRequests, "Too many tries: wait a minute.", next)
		return
	}
	token, err := f.Roster.Check(r.Context(), strings.TrimSpace(r.PostFormValue("token")))
	if errors.Is(err, roster.ErrRefused) {
		f.offer(w, r, http.StatusForbidden, "This token is unknown, revoked or expired.", next)
		return
	}
	if err != nil {
		f.Log.Error("cannot check a token", "err", err)
		f.pageProblem(w, r, http.StatusInternalServerError, errors.New("the server could not check the token"))
		return
	}
	until := f.Now().Add(longestSession)
	if !token.Expires.IsZero() && token.Expires.Before(until) {
		until = token.Expires
	}
	f.welcome(w, r, session{token: token.ID, until: until}, next)
}

// welcome begins a session and leads to where its browser was going.
func (f *Front) welcome(w http.ResponseWriter, r *http.Request, of session, next string) {
	if err := f.begin(w, of); err != nil {
		f.broken(w, r, err)
		return
	}
	guarded(w)
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// logout ends a session, with what is open under it, and gives a forge's token back to
// the forge. A copy of the cookie opens nothing either.
func (f *Front) logout(w http.ResponseWriter, r *http.Request, _ *Server) {
	if !f.sameOrigin(w, r) {
		return
	}
	if of, ok := f.sessionOf(r); ok {
		f.Sessions.end(of, f.Now())
		f.cut(of.id)
		f.giveBack(r.Context(), of)
	}
	if f.Sessions != nil {
		f.Sessions.set(w, sessionCookie, "", 0)
	}
	guarded(w)
	http.Redirect(w, r, loginPath, http.StatusSeeOther)
}

// giveBack ends the token that a forge gave for a session. If the forge does not
// answer, it ends by itself.
func (f *Front) giveBack(ctx context.Context, of session) {
	if of.person == nil {
		return
	}
	way, ok := f.way(of.person.Forge)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askWithin) // who closes the page has signed out, too
	defer cancel()
	if err := way.End(ctx, of.person.Token); err != nil {
		f.Log.Warn("a token of a person was not given back", "forge", of.person.Forge, "err", err)
	}
}

// sameOrigin answers what a page of somebody else has a browser send.
func (f *Front) sameOrigin(w http.ResponseWriter, r *http.Request) bool {
	err := http.NewCrossOriginProtection().Check(r)
	if err != nil {
		f.pageProblem(w, r, http.StatusForbidden, errCrossOrigin)
	}
	return err == nil
}

// errCrossOrigin is for what a page of somebody else has a browser send.
var errCrossOrigin = errors.New("this did not come from a page of this server")

// within is where to go on after signing in: a path of this server, whatever the
// address said.
func within(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}
