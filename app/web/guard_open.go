package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/storage/roster"
)

// An opening is one request that is being answered under a token or a session.
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

// holderOf is whoever has a token.
func holderOf(token roster.Token, err error) (caller, error) {
	return caller{token: token, until: token.Expires}, err
}

// identify finds out who asks: by a token if the request brings one to the API, else
// by the session of a browser. On pages, who brings neither is a stranger if there is
// something for those.
func (f *Front) identify(r *http.Request, route Route) (caller, error) {
	if !route.page && r.Header.Get("Authorization") != "" {
		if route.reader {
			return f.subscriber(r)
		}
		return holderOf(f.bearer(r))
	}
	c, err := f.visitor(r)
	unknown := errors.Is(err, errNoToken) || errors.Is(err, roster.ErrRefused)
	if unknown && route.page && route.Need == roster.Read && f.hasPublic(r.Context()) {
		return caller{stranger: true}, nil
	}
	if err != nil {
		return c, err
	}
	if http.NewCrossOriginProtection().Check(r) != nil { // a browser sends its session whoever has it ask
		return c, statusError{http.StatusForbidden, errCrossOrigin}
	}
	return c, nil
}

// enter finds out who asks. Until the caller leaves, the request ends with their
// leave: when it expires, and when cut is called with the id of the token or session.
// After an error the request is as it came.
func (f *Front) enter(r *http.Request, route Route) (*http.Request, func(), error) {
	c, err := f.identify(r, route)
	if err != nil {
		return r, nil, err
	}
	ctx, cancel := f.until(context.WithValue(r.Context(), callerKey{}, c), c.until)
	o := &opening{cut: cancel, stream: route.follow}
	if !f.hold(c.open(), o) {
		cancel()
		return r, nil, errTooManyStreams
	}
	leave := func() { cancel(); f.drop(c.open(), o) }
	entered := r.WithContext(ctx)
	if route.follow { // it may have been revoked before it could be cut off
		if _, err := f.identify(entered, route); err != nil {
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

// hold notes a request, unless it is a stream and there are enough of them under the
// same id.
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

// cut ends what is being answered under a token or a session.
func (f *Front) cut(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for o := range f.open[id] {
		o.cut()
	}
}
