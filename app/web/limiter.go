package web

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// How often one address may try to register a builder, or a token that turns out to
// open nothing.
const (
	triesAtOnce = 20
	triesEvery  = 6 * time.Second // and then one in that time

	// maxAddresses bounds the memory of a limiter. A flood from more of them makes
	// it forget, which no secret depends on: those have 256 random bits.
	maxAddresses = 4096
)

// A limiter bounds how often each address may do something. Its zero value is
// ready.
type limiter struct {
	mu   sync.Mutex
	free map[string]time.Time // from when on an address has nothing against it
}

// allow reports whether one more try is all right now, and counts it.
func (l *limiter) allow(r *http.Request, now time.Time) bool {
	if !l.open(r, now) {
		return false
	}
	l.count(r, now)
	return true
}

// open reports whether one more try is all right now.
func (l *limiter) open(r *http.Request, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.free[addressOf(r)].Sub(now) <= (triesAtOnce-1)*triesEvery
}

// count counts a try.
func (l *limiter) count(r *http.Request, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free == nil || len(l.free) >= maxAddresses {
		l.free = map[string]time.Time{}
	}
	free := l.free[addressOf(r)]
	if free.Before(now) {
		free = now
	}
	l.free[addressOf(r)] = free.Add(triesEvery)
}

// addressOf is where a request comes from.
func addressOf(r *http.Request) string {
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return address
}
