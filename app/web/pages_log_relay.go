package web

import (
	"sync"
	"time"

	"github.com/velocity-ci/velocity/app/web/page"
)

// A drawing is what follows a place in a log, as an event, and the place behind it.
type drawing struct {
	event []byte // "" if nothing of it is shown
	next  page.Place
}

// cost is about how many bytes it takes to keep.
func (d drawing) cost() int { return len(d.event) + 200 }

// mostRelayed bounds the events that a relay keeps, in bytes. Whoever is further
// behind has theirs drawn anew.
const mostRelayed = 256 << 10

// A relay draws what comes of one log once for all who follow it, and holds it once
// for those of them who are slow. It is safe for concurrent use.
type relay struct {
	followers int // in the hands of relays

	mu    sync.Mutex
	drawn map[page.Place]drawing
	order []page.Place // of drawn, the oldest first
	held  int          // bytes
}

// from is what follows a place: as another follower was sent it, or as draw draws it.
// There is nothing if it leads nowhere else. What has been there once stays the same.
func (r *relay) from(at page.Place, draw func() (drawing, error)) (drawing, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d, ok := r.drawn[at]; ok {
		return d, nil
	}
	d, err := draw()
	if err != nil || d.next == at {
		return d, err
	}
	r.drawn[at] = d
	r.order = append(r.order, at)
	r.held += d.cost()
	for r.held > mostRelayed && len(r.order) > 1 {
		r.held -= r.drawn[r.order[0]].cost()
		delete(r.drawn, r.order[0])
		r.order = r.order[1:]
	}
	return d, nil
}

// relays are those of the logs that somebody follows. The zero value is ready; it is
// safe for concurrent use.
type relays struct {
	mu        sync.Mutex
	open      map[logKey]*relay
	followers int // of all of them
}

// Pace of logs that are followed.
const (
	linesEvery  = 100 * time.Millisecond // nobody reads faster, and a flood comes in few events
	atFullSpeed = 100                    // followers who are sent as much as that
)

// pace is how long a follower waits after what came last. However many follow logs,
// they are sent about as many events in all as those at full speed: what they cost is
// taken from nobody's build.
func (rs *relays) pace() time.Duration {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return linesEvery * time.Duration(max(rs.followers, atFullSpeed)) / atFullSpeed
}

// join is the relay of a log, until the follower leaves.
func (rs *relays) join(key logKey) (r *relay, leave func()) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r, ok := rs.open[key]
	if !ok {
		if rs.open == nil {
			rs.open = map[logKey]*relay{}
		}
		r = &relay{drawn: map[page.Place]drawing{}}
		rs.open[key] = r
	}
	r.followers++
	rs.followers++
	return r, func() {
		rs.mu.Lock()
		defer rs.mu.Unlock()
		rs.followers--
		if r.followers--; r.followers == 0 {
			delete(rs.open, key)
		}
	}
}
