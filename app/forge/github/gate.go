package github

import (
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
)

// How long a limit closes the gate.
const (
	firstPause = time.Minute // without a word of GitHub's; doubles while it goes on
	maxPause   = 30 * time.Minute
	maxTold    = 6 * time.Hour // however long GitHub says
)

// A gate is closed while GitHub takes no requests of one credential. Going on while
// it is would get the App banned.
type gate struct {
	now func() time.Time

	mu     sync.Mutex
	until  time.Time
	step   time.Duration
	reason error
}

// open returns a *forge.LimitError while the gate is closed.
func (g *gate) open() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.now().Before(g.until) {
		return nil
	}
	return &forge.LimitError{Until: g.until, Err: g.reason}
}

// judge gives the error of a request its kind, and closes the gate if it says that
// a limit is reached.
func (g *gate) judge(err error) error {
	if err == nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		if !g.now().Before(g.until) {
			g.step = 0
		}
		return nil
	}
	f := failureOf(err)
	var limit *forge.LimitError
	if f == nil || !f.limited() || errors.As(err, &limit) { // that of another gate is no answer to us
		return classify(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	until := g.end(f)
	if until.After(g.until) {
		g.until, g.reason = until, f
	}
	return &forge.LimitError{Until: g.until, Err: f}
}

// end is when the gate opens again. It is called with the gate held.
func (g *gate) end(f *failure) time.Time {
	now := g.now()
	if told, ok := f.told(now); ok {
		return now.Add(min(max(told, time.Second), maxTold))
	}
	if now.Before(g.until) { // answers to requests that were under way together
		return g.until
	}
	g.step = min(max(2*g.step, firstPause), maxPause)
	return now.Add(g.step)
}

// told is how long GitHub says to wait.
func (f *failure) told(now time.Time) (time.Duration, bool) {
	if after := f.header.Get("Retry-After"); after != "" {
		if seconds, err := strconv.ParseInt(after, 10, 32); err == nil {
			return time.Duration(seconds) * time.Second, true
		}
		if at, err := http.ParseTime(after); err == nil {
			return at.Sub(now), true
		}
	}
	if f.header.Get("X-RateLimit-Remaining") == "0" {
		if at, err := strconv.ParseInt(f.header.Get("X-RateLimit-Reset"), 10, 64); err == nil {
			return time.Unix(at, 0).Sub(now), true
		}
	}
	return 0, false
}
