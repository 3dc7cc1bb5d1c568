package dispatch

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// The first tries to connect are quick, up to quickTries of them, at most
	// quickWait apart: a server that is only restarted has its builders back within
	// about a second.
	firstWait  = 200 * time.Millisecond
	quickWait  = time.Second
	quickTries = 14
	// longestWait is the most that a builder which can reach its server stays away
	// from it.
	longestWait = 10 * time.Second
)

// backoff is the time before a try to connect, from 1. It doubles from firstWait
// to quickWait, stays there for about ten seconds, and doubles on to longestWait.
// It is random in its upper half, so that builders that lost the server in one
// moment do not come back in one.
//
// A thousand builders are then no stampede. While a server is down for ten
// seconds each tries every 0.75 s on average, 1,300 tries a second in all, which a
// closed port refuses without the server's doing. When it is back it is asked for
// 1,000 TLS handshakes within a second: at about a millisecond each, one CPU for
// that second. After a longer outage they come over ten seconds, 100 a second.
func backoff(try int) time.Duration {
	wait := firstWait
	for n := 1; n < try && wait < longestWait; n++ {
		if wait < quickWait || n >= quickTries {
			wait *= 2
		}
		if n < quickTries {
			wait = min(wait, quickWait)
		}
	}
	wait = min(wait, longestWait)
	return wait/2 + rand.N(wait/2)
}

// pause waits for d and tells whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
