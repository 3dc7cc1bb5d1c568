// Package forgetest has fake forges for tests: real HTTP servers on loopback that
// are at least as strict as the real ones. A client that gets along with them, their
// faults included, has a fair chance with a forge.
//
// What is forge-neutral stands in files of its own: the vendor's description of its
// API that every request is held against (validate.go), the gate before the API with
// its log of calls (gate.go), faults by seed (faults.go), webhooks with their log
// (deliver.go), and real bare repositories behind smart HTTP (git.go).
//
// Nothing here waits for time to go by. Tests wait for events (the Wait methods),
// and a held delivery waits for the next one or for Release. Only tests import it.
package forgetest

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sync"
	"time"
)

// A TB is the part of testing.TB that is used. The methods that take what a person
// does on a forge end the test if it cannot be done.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}

// A Clock is real time, moved by as much as a test says. It is safe for concurrent
// use; the zero value is right.
type Clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

// Now is the clock's time, in UTC.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead).UTC()
}

// Advance moves the clock, backwards too.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// newGUID names an event, in the form of a random UUID.
func newGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s := hex.EncodeToString(b[:])
	return fmt.Sprintf("%s-%s-%s-%s-%s", s[:8], s[8:12], s[12:16], s[16:20], s[20:])
}

// A bell wakes everybody who waits for a change. Its owner's lock guards it.
type bell chan struct{}

// ring wakes those who took hold of the bell until now.
func (b *bell) ring() {
	if *b != nil {
		close(*b)
		*b = nil
	}
}

// next is closed at the next ring.
func (b *bell) next() <-chan struct{} {
	if *b == nil {
		*b = make(bell)
	}
	return *b
}
