package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
)

// How long a limit closes the gate.
const (
	pause   = time.Minute   // without a word of GitLab's: its limits are by the minute
	maxTold = 6 * time.Hour // however long GitLab says
)

// A gate is closed while GitLab takes no requests of the token's user.
type gate struct {
	now func() time.Time

	mu     sync.Mutex
	until  time.Time
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
	var f *failure
	if !errors.As(err, &f) || !f.limited() {
		return classify(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if until := now.Add(min(max(f.told(now), time.Second), maxTold)); until.After(g.until) {
		g.until, g.reason = until, f
	}
	return &forge.LimitError{Until: g.until, Err: f}
}

// limited reports whether the answer means that too much was asked. GitLab says 429;
// what stands before it may say something else, with a time.
func (f *failure) limited() bool {
	return f.status == http.StatusTooManyRequests ||
		(f.status == http.StatusServiceUnavailable || f.status == http.StatusForbidden) && f.header.Get("Retry-After") != ""
}

// told is how long GitLab says to wait.
func (f *failure) told(now time.Time) time.Duration {
	if after := f.header.Get("Retry-After"); after != "" {
		if seconds, err := strconv.ParseInt(after, 10, 32); err == nil {
			return time.Duration(seconds) * time.Second
		}
		if at, err := http.ParseTime(after); err == nil {
			return at.Sub(now)
		}
	}
	if at, err := strconv.ParseInt(f.header.Get("RateLimit-Reset"), 10, 64); err == nil {
		return time.Unix(at, 0).Sub(now)
	}
	return pause
}

// Limits of lists.
const (
	perPage  = 100
	maxPages = 100
)

// ask sends one request and decodes the answer into a pointer, or drops it if that
// is nil. The error is one of package forge's kinds where it is one.
func (g *GitLab) ask(ctx context.Context, method, path string, body, into any) error {
	_, err := g.send(ctx, method, path, nil, body, into)
	return err
}

func (g *GitLab) send(ctx context.Context, method, path string, query url.Values, body, into any) (int, error) {
	if err := g.gate.open(); err != nil {
		return 0, err
	}
	next, err := g.api.ask(ctx, method, path, query, body, into)
	if err != nil {
		return 0, g.gate.judge(err)
	}
	return next, nil
}

// get is ask for reads.
func (g *GitLab) get(ctx context.Context, path string, into any) error {
	return g.ask(ctx, http.MethodGet, path, nil, into)
}

// list asks for one page of a list after the other, until use says that it has seen
// enough.
func list[T any](ctx context.Context, g *GitLab, path string, query url.Values, use func([]T) (more bool)) error {
	if query == nil {
		query = url.Values{}
	}
	if query.Get("per_page") == "" {
		query.Set("per_page", strconv.Itoa(perPage))
	}
	for page := 1; ; {
		query.Set("page", strconv.Itoa(page))
		var some []T
		next, err := g.send(ctx, http.MethodGet, path, query, nil, &some)
		if err != nil {
			return err
		}
		if !use(some) || next <= page {
			return nil
		}
		if page = next; page > maxPages {
			return fmt.Errorf("gitlab: %s has more than %d pages", path, maxPages)
		}
	}
}
