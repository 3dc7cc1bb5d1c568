package github

import (
	"sync"
	"time"
)

// maxRuns is how many unfinished runs are remembered.
const maxRuns = 10_000

// runs remembers the unfinished check runs of which this process knows exactly what
// GitHub has, since it got the answer to the last request about them, and when they
// began. Of all others (an answer was lost, or another process asked) it has to be
// found out. To forget costs a request.
type runs struct {
	mu   sync.Mutex
	born map[int64]time.Time
}

func newRuns() *runs { return &runs{born: map[int64]time.Time{}} }

// know remembers a run.
func (r *runs) know(id int64, born time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.born) >= maxRuns {
		clear(r.born)
	}
	r.born[id] = born
}

// take forgets a run, and says what was known.
func (r *runs) take(id int64) (born time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	born, ok = r.born[id]
	delete(r.born, id)
	return born, ok
}
