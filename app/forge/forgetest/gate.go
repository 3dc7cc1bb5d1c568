package forgetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// maxRequest bounds the body of a call, in bytes.
const maxRequest = 32 << 20

// A Call is one request of the API and how it was answered.
type Call struct {
	At     time.Time
	Method string
	Path   string // without the prefix of the API
	Query  string
	Body   []byte
	Status int    // 0 if there was no answer
	Mishap Mishap // what went wrong by intent
	Why    string // it was refused by the API's description; "" otherwise
}

// A gate stands before the API of a fake: it logs calls, makes them go wrong, and
// holds them against the vendor's description. It is safe for concurrent use.
type gate struct {
	api    http.Handler
	spec   *Spec // nil: nothing is held against anything
	faults *Faults
	now    func() time.Time
	// refuse answers an invalid request in the forge's dialect, limit one that is
	// too many.
	refuse func(w http.ResponseWriter, err error)
	limit  func(w http.ResponseWriter, m Mishap)
	// excuse takes off an error what is the description's own; nil takes off nothing.
	excuse func(error) error

	mu         sync.Mutex
	calls      []Call
	changed    bell
	violations []string
	untrue     []string
}

// ServeHTTP answers one call.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		return // nobody is there to read an answer
	}
	c := Call{At: g.now(), Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Body: body, Mishap: g.faults.call(r)}
	if c.Mishap.Kind == Hung {
		g.log(c)
		<-r.Context().Done()
		return
	}
	answer := g.answer(r, body, &c)
	if c.Mishap.Kind == Cut {
		g.log(c)
		panic(http.ErrAbortHandler)
	}
	c.Status = answer.status
	g.log(c)
	maps.Copy(w.Header(), answer.header)
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body.Bytes()) // whoever asked may be gone
}

// answer does what is asked, unless something is wrong with it or goes wrong.
func (g *gate) answer(r *http.Request, body []byte, c *Call) *answer {
	a := &answer{header: http.Header{}, status: http.StatusOK}
	switch c.Mishap.Kind {
	case Refused:
		http.Error(a, "the service is not available", c.Mishap.status(http.StatusServiceUnavailable))
		return a
	case Limited:
		g.limit(a, c.Mishap)
		return a
	}
	if err := g.check(r, body); err != nil {
		c.Why = err.Error()
		g.refuse(a, err)
		return a
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	g.api.ServeHTTP(a, r)
	g.compare(r, a)
	if c.Mishap.Kind == Unanswered {
		a = &answer{header: http.Header{}}
		http.Error(a, "the answer was lost on its way", c.Mishap.status(http.StatusBadGateway))
	}
	return a
}

func (m Mishap) status(usual int) int {
	if m.Status != 0 {
		return m.Status
	}
	return usual
}

// check holds a request against the description and keeps what is wrong.
func (g *gate) check(r *http.Request, body []byte) error {
	if g.spec == nil {
		return nil
	}
	err := g.spec.CheckRequest(r, body)
	if err != nil {
		g.violate(fmt.Sprintf("%s %s: %v", r.Method, r.URL.Path, err))
	}
	return err
}

// compare holds the fake's own answer against the description: a fake that
// answers what the forge never would proves nothing.
func (g *gate) compare(r *http.Request, a *answer) {
	if g.spec == nil || a.status >= http.StatusMultipleChoices {
		return
	}
	err := g.spec.CheckAnswer(r, a.status, a.header, a.body.Bytes())
	if g.excuse != nil {
		err = g.excuse(err)
	}
	if err != nil && !errors.Is(err, ErrUnknown) {
		g.mistake(fmt.Sprintf("answer to %s %s: %v", r.Method, r.URL.Path, err))
	}
}

// mistake keeps what the fake itself did that the forge never would.
func (g *gate) mistake(what string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.untrue = append(g.untrue, what)
}

// violate keeps what a client did that the forge would refuse.
func (g *gate) violate(what string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.violations = append(g.violations, what)
}

func (g *gate) log(c Call) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = append(g.calls, c)
	g.changed.ring()
}

// waitCall waits for a call in the log.
func (g *gate) waitCall(ctx context.Context, match func(Call) bool) (Call, error) {
	for {
		g.mu.Lock()
		i, changed := slices.IndexFunc(g.calls, match), g.changed.next()
		var found Call
		if i >= 0 {
			found = g.calls[i]
		}
		g.mu.Unlock()
		if i >= 0 {
			return found, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return Call{}, fmt.Errorf("wait for a call: %w", ctx.Err())
		}
	}
}

// Calls are all calls of the API so far, in the order in which they ended.
func (g *gate) Calls() []Call {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.calls)
}

// Violations are the requests that no client should have made, in words.
func (g *gate) Violations() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.violations)
}

// Untrue are the answers and webhooks of the fake itself that do not fit the
// vendor's description, in words.
func (g *gate) Untrue() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.untrue)
}

// Validated reports whether requests are held against the vendor's description.
func (g *gate) Validated() bool { return g.spec != nil }

// An answer is kept until it is known whether it arrives.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }
