package forgetest

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Odds are how often things go wrong, each from 0 to 1.
type Odds struct {
	// Of calls of the API.
	Refused    float64 // 5xx, and nothing was done
	Unanswered float64 // it was done, and 5xx answered
	Cut        float64 // it was done, and the connection ends without an answer
	Limited    float64 // too many requests, in any of the forms that occur

	// Of webhooks.
	Dropped     float64 // never sent, and in no log
	Undelivered float64 // it does not arrive, and the log says so
	Duplicated  float64 // it arrives twice
	Delayed     float64 // later deliveries overtake it
}

// A Kind is what goes wrong with a call.
type Kind int

// The kinds of mishaps.
const (
	Fine Kind = iota
	Refused
	Unanswered
	Cut
	Limited
	Hung // nothing was done, and there is no answer before the client gives up
)

// A Mishap is how one call of the API goes wrong; the zero value is one that does
// not.
type Mishap struct {
	Kind       Kind
	Status     int           // of the answer; 0: as is usual for the kind
	RetryAfter time.Duration // Limited: in the header of that name, if it is not 0
	Exhausted  bool          // Limited: the headers of the limit say that nothing is left
}

// Limits are the forms in which a forge says that there are too many requests.
var Limits = []Mishap{
	{Kind: Limited, Status: http.StatusForbidden, RetryAfter: time.Minute},
	{Kind: Limited, Status: http.StatusTooManyRequests, RetryAfter: time.Minute},
	{Kind: Limited, Status: http.StatusForbidden, Exhausted: true},
	{Kind: Limited, Status: http.StatusTooManyRequests, Exhausted: true},
	{Kind: Limited, Status: http.StatusForbidden},
	{Kind: Limited, Status: http.StatusTooManyRequests},
}

// Faults decide what goes wrong. The n-th call of a method and path, and the n-th
// delivery of an event, fare the same with the same seed, whatever happens between
// them. They are safe for concurrent use; nil means that all goes well.
type Faults struct {
	seed uint64

	mu       sync.Mutex
	odds     Odds
	seen     map[string]int // how often each key was asked for
	injected []injection
}

type injection struct {
	match   func(*http.Request) bool
	mishaps []Mishap
}

// NewFaults has faults of these odds.
func NewFaults(seed uint64, odds Odds) *Faults {
	return &Faults{seed: seed, odds: odds, seen: map[string]int{}}
}

// Set changes the odds: zero ones let a system come to rest.
func (f *Faults) Set(odds Odds) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.odds = odds
}

// Inject makes the next matching calls go as is said, one after the other, before
// odds count.
func (f *Faults) Inject(match func(*http.Request) bool, mishaps ...Mishap) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.injected = append(f.injected, injection{match: match, mishaps: mishaps})
}

// OnCall matches requests by method and by how the path ends.
func OnCall(method, end string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return r.Method == method && len(r.URL.Path) >= len(end) && r.URL.Path[len(r.URL.Path)-len(end):] == end
	}
}

// draw is a source of chance for the next use of a key. The lock is held.
func (f *Faults) draw(key string) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s", f.seen[key], key)
	f.seen[key]++
	return rand.New(rand.NewPCG(f.seed, h.Sum64()))
}

// call decides about a call of the API.
func (f *Faults) call(r *http.Request) Mishap {
	if f == nil {
		return Mishap{}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.injected {
		if in := &f.injected[i]; len(in.mishaps) > 0 && in.match(r) {
			m := in.mishaps[0]
			in.mishaps = in.mishaps[1:]
			return m
		}
	}
	chance := f.draw(r.Method + " " + r.URL.Path)
	x := chance.Float64()
	for _, c := range []struct {
		odds float64
		kind Kind
	}{{f.odds.Refused, Refused}, {f.odds.Unanswered, Unanswered}, {f.odds.Cut, Cut}} {
		if x < c.odds {
			return Mishap{Kind: c.kind}
		}
		x -= c.odds
	}
	if x < f.odds.Limited {
		return Limits[chance.IntN(len(Limits))]
	}
	return Mishap{}
}

// A fate is how a delivery fares.
type fate struct{ dropped, undelivered, duplicated, delayed bool }

// delivery decides about a delivery of an event.
func (f *Faults) delivery(event string) fate {
	if f == nil {
		return fate{}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	chance := f.draw("delivery of " + event)
	return fate{
		dropped:     chance.Float64() < f.odds.Dropped,
		undelivered: chance.Float64() < f.odds.Undelivered,
		duplicated:  chance.Float64() < f.odds.Duplicated,
		delayed:     chance.Float64() < f.odds.Delayed,
	}
}
