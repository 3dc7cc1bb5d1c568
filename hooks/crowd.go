package hooks

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// What is held against an address that was refused.
const (
	refusedAtOnce = 20          // requests; from then on it is watched
	refusedEvery  = time.Second // one is forgotten in that time

	// places bounds what is known of addresses. Those that share a place share what
	// is held against them; who that will be nobody outside can tell.
	places = 4096
)

// A crowd knows what of the gate each address uses up, and how it behaved. It takes
// the same memory however many there are. It is safe for concurrent use.
//
// An address that was refused much is not shut out: forges send from few addresses,
// and anybody can have them send to us what is signed with another secret. It only
// gets little at the same time, which is enough for those that are quick.
type crowd struct {
	seed maphash.Seed
	mu   sync.Mutex
	all  [places]place
}

// A place is that of one address, or of some that are taken for one.
type place struct {
	reading int       // requests
	held    int64     // bytes
	free    time.Time // from when on nothing is held against it
}

func newCrowd() *crowd { return &crowd{seed: maphash.MakeSeed()} }

// of finds the place of an address. Whoever has one of IPv6 has all that begin alike.
func (c *crowd) of(source string) *place {
	if a, err := netip.ParseAddr(source); err == nil && a.Unmap().Is6() {
		if p, err := a.WithZone("").Prefix(64); err == nil {
			source = p.String()
		}
	}
	return &c.all[maphash.String(c.seed, source)%places]
}

// enter lets one more request of a place be read, if it has few enough that are. The
// caller must leave if it did.
func (c *crowd) enter(p *place, now time.Time, l Limits) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	most := l.Source
	if p.free.Sub(now) > (refusedAtOnce-1)*refusedEvery {
		most = l.Watched
	}
	if p.reading >= most {
		return false
	}
	p.reading++
	return true
}

func (c *crowd) leave(p *place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p.reading--
}

// blame holds a refusal against a place, as far as there is not enough already: it is
// to end soon after they do.
func (c *crowd) blame(p *place, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.free.Before(now) {
		p.free = now
	}
	if p.free.Sub(now) <= refusedAtOnce*refusedEvery {
		p.free = p.free.Add(refusedEvery)
	}
}

// hold takes memory for a place, or gives it back if it is negative.
func (c *crowd) hold(p *place, bytes int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if bytes > 0 && p.held+bytes > sourceMemory {
		return false
	}
	p.held += bytes
	return true
}
