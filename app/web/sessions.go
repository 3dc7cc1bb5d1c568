package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/web/page"
	"github.com/velocity-ci/velocity/storage/roster"
)

// longestSession is how long a browser stays signed in, unless its token ends before.
const longestSession = 30 * 24 * time.Hour

// Sessions are how browsers are known again. A session is for one token and ends
// with it: when that expires, and when it is revoked. Nothing of it is kept here, so
// it outlives this process: the cookie says whose it is and until when, and a code
// that only the server can make says that the server said so. It holds no part of
// the token's secret and opens pages only, never the API.
type Sessions struct {
	Key    []byte // secret that codes are made with
	Secure bool   // browsers reach us by https
}

// cookie is the name. The prefix makes browsers refuse one that did not come from
// this very host by https.
func (s *Sessions) cookie() string {
	if s.Secure {
		return "__Host-velocity"
	}
	return "velocity"
}

// write is the value of a session.
func (s *Sessions) write(id string, until time.Time) string {
	said := id + "." + strconv.FormatInt(until.Unix(), 10)
	return said + "." + s.code(said)
}

// read is whose session a value is; "" if it is none, or over.
func (s *Sessions) read(value string, now time.Time) (id string) {
	end := strings.LastIndexByte(value, '.')
	if end < 0 || !hmac.Equal([]byte(value[end+1:]), []byte(s.code(value[:end]))) {
		return ""
	}
	id, text, _ := strings.Cut(value[:end], ".")
	until, err := strconv.ParseInt(text, 10, 64)
	if err != nil || !now.Before(time.Unix(until, 0)) {
		return ""
	}
	return id
}

func (s *Sessions) code(said string) string {
	mac := hmac.New(sha256.New, s.Key)
	mac.Write([]byte("velocity/1 session\x00" + said))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// set gives a browser a session, or takes it away with "".
func (s *Sessions) set(w http.ResponseWriter, value string, seconds int) {
	if value == "" {
		seconds = -1
	}
	http.SetCookie(w, &http.Cookie{
		Name: s.cookie(), Value: value, Path: "/", MaxAge: seconds,
		HttpOnly: true, Secure: s.Secure, SameSite: http.SameSiteLaxMode,
	})
}

// visitor is whose session a request brings. How people sign in is for the routes
// below to know: whatever they show, it becomes a token here.
func (f *Front) visitor(r *http.Request) (roster.Token, error) {
	if f.Sessions == nil {
		return roster.Token{}, errNoToken
	}
	cookie, err := r.Cookie(f.Sessions.cookie())
	if err != nil {
		return roster.Token{}, errNoToken
	}
	id := f.Sessions.read(cookie.Value, f.Now())
	if id == "" {
		return roster.Token{}, errNoToken
	}
	return f.Roster.Token(r.Context(), id)
}

// askToSignIn sends a person to the form, and back when they are signed in. What a
// script asks for is only refused.
func (f *Front) askToSignIn(w http.ResponseWriter, r *http.Request, route Route) {
	if route.follow {
		guarded(w)
		http.Error(w, "sign in again", http.StatusUnauthorized)
		return
	}
	guarded(w)
	http.Redirect(w, r, loginPath+"?"+url.Values{"next": {standsOn(r)}}.Encode(), http.StatusSeeOther)
}

// Paths of signing in and out.
const (
	loginPath  = "/login"
	logoutPath = "/logout"
)

func (f *Front) loginForm(w http.ResponseWriter, r *http.Request, _ *Server) {
	f.page(w, r, http.StatusOK, page.Login{Next: within(r.URL.Query().Get("next"))})
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
		f.page(w, r, http.StatusTooManyRequests, page.Login{Problem: "Too many tries: wait a minute.", Next: next})
		return
	}
	token, err := f.Roster.Check(r.Context(), strings.TrimSpace(r.PostFormValue("token")))
	if errors.Is(err, roster.ErrRefused) {
		f.page(w, r, http.StatusForbidden, page.Login{Problem: "This token is unknown, revoked or expired.", Next: next})
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
	f.Sessions.set(w, f.Sessions.write(token.ID, until), int(until.Sub(f.Now()).Seconds()))
	guarded(w)
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// logout has the browser forget its session. One that was copied elsewhere ends
// with its token.
func (f *Front) logout(w http.ResponseWriter, r *http.Request, _ *Server) {
	if !f.sameOrigin(w, r) {
		return
	}
	if f.Sessions != nil {
		f.Sessions.set(w, "", 0)
	}
	guarded(w)
	http.Redirect(w, r, loginPath, http.StatusSeeOther)
}

// sameOrigin answers what a page of somebody else has a browser send.
func (f *Front) sameOrigin(w http.ResponseWriter, r *http.Request) bool {
	err := http.NewCrossOriginProtection().Check(r)
	if err != nil {
		f.pageProblem(w, r, http.StatusForbidden, errors.New("this did not come from a page of this server"))
	}
	return err == nil
}

// within is where to go on after signing in: a path of this server, whatever the
// address said.
func within(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}
