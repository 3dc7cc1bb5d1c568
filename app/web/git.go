package web

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/storage/roster"
)

// attemptUser is the name under which the token of an attempt is sent; under any
// other, an API token is expected, or one of the repository's forge.
const attemptUser = "attempt"

const (
	// askWithin bounds the asking of a forge who may read.
	askWithin = 15 * time.Second
	// maxStrangers is how many fetch at the same time who brought no token: packing
	// is work that anybody can cause.
	maxStrangers = 16
)

// A view is what somebody may fetch of a repository.
type view int

// The views, each with what is in those before it.
const (
	nothing view = iota
	sources      // branches, tags, and commits by their ids
	results      // notes, builds and logs
)

// git serves fetches. git sends a password only when it was asked for one.
func (f *Front) git(w http.ResponseWriter, r *http.Request, _ *Server) {
	path := r.PathValue("path")
	site, below := f.Sites.above(path)
	identity, _, _ := strings.Cut(path, "/") // as good as any if there is no such repository
	if site != nil {
		identity = site.Site.Identity()
	}
	shown, err := f.viewOf(r, site, identity)
	switch {
	case err != nil:
		refuseForNow(w, err)
		return
	case shown == nothing:
		w.Header().Set("WWW-Authenticate", basicChallenge)
		http.Error(w, "this needs a token that may read the repository", http.StatusUnauthorized)
		return
	case site == nil || site.Git == nil:
		http.NotFound(w, r)
		return
	}
	if _, _, given := r.BasicAuth(); !given {
		defer f.strangers.Add(-1)
		if f.strangers.Add(1) > maxStrangers {
			refuseForNow(w, errBusy)
			return
		}
	}
	inner := r.Clone(r.Context())
	inner.URL.Path, inner.URL.RawPath = below, ""
	site.Git(w, inner, shown == results)
}

// viewOf is what whoever asks may fetch of a repository; site is nil if it is not
// here. The error is of refuseForNow's.
func (f *Front) viewOf(r *http.Request, site *Server, identity string) (view, error) {
	user, password, given := r.BasicAuth()
	if given && user == attemptUser {
		if f.Attempt != nil && f.Attempt(identity, password) {
			return sources, nil
		}
		return nothing, nil
	}
	if token, err := f.Roster.Check(r.Context(), password); err == nil {
		if token.May(roster.Read, identity) {
			return results, nil
		}
		return nothing, nil
	}
	if site == nil || site.Reads == nil || ours(password) {
		return nothing, nil
	}
	return f.asReader(r, site, password)
}

// ours reports whether a token is meant for this server, or one like it: it is not
// shown to a forge.
func ours(token string) bool {
	return strings.HasPrefix(token, roster.TokenPrefix) || strings.HasPrefix(token, roster.RegistrationPrefix)
}

var (
	// errTooMany is for those whose tokens were refused again and again.
	errTooMany = errors.New("too many tokens from this address were refused: try again later")
	// errBusy is for strangers when there are many.
	errBusy = errors.New("too many fetch without a token right now: bring one, or try again")
	// errUnsure is for when a forge does not say who may read.
	errUnsure = errors.New("the forge could not be asked who may read the repository: try again")
)

// asReader is what somebody may fetch by the forge's leave.
func (f *Front) asReader(r *http.Request, site *Server, token string) (view, error) {
	if token != "" && !f.guesses.open(r, f.Now()) {
		return nothing, errTooMany
	}
	ctx, cancel := context.WithTimeout(r.Context(), askWithin)
	defer cancel()
	may, err := site.Reads(ctx, token)
	switch {
	case err != nil:
		f.Log.Warn("a forge did not say who may read", "repo", site.Site.Called(), "err", err)
		return nothing, errUnsure
	case may:
		return results, nil
	case token != "":
		f.guesses.count(r, f.Now())
	}
	return nothing, nil
}

// refuseForNow answers that it may be otherwise in a while.
func refuseForNow(w http.ResponseWriter, err error) {
	status := http.StatusServiceUnavailable
	if errors.Is(err, errTooMany) {
		status = http.StatusTooManyRequests
	}
	w.Header().Set("Retry-After", strconv.Itoa(int(triesEvery.Seconds())))
	http.Error(w, err.Error(), status)
}
