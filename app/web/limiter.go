package web

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// How often one address may try to register a builder.
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

// allow reports whether one more try is all right now.
func (l *limiter) allow(r *http.Request, now time.Time) bool {
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free == nil || len(l.free) >= maxAddresses {
		l.free = map[string]time.Time{}
	}
	free := l.free[address]
	if free.Before(now) {
		free = now
	}
	if free.Sub(now) > (triesAtOnce-1)*triesEvery {
		return false
	}
	l.free[address] = free.Add(triesEvery)
	return true
}
