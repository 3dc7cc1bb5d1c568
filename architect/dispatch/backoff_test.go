package dispatch

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Tries are quick for the first ten seconds, then fewer, and never all at once.
func TestBackoff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		try := rapid.IntRange(1, 1000).Draw(t, "try")
		least, most := 100*time.Millisecond, time.Second
		if try > quickTries {
			most = longestWait
		}
		if try > quickTries+4 {
			least = longestWait / 2
		}
		if wait := backoff(try); wait < least || wait > most {
			t.Fatalf("try %d comes after %s; want %s to %s", try, wait, least, most)
		}
	})
	var slowest time.Duration
	seen := map[time.Duration]bool{}
	for try := 1; try <= quickTries; try++ {
		wait := backoff(try)
		seen[wait] = true
		slowest += wait
	}
	if least := 6 * time.Second; slowest < least {
		t.Errorf("%d quick tries last %s; want them to reach over a restart of %s", quickTries, slowest, least)
	}
	if len(seen) < quickTries/2 {
		t.Errorf("%d tries waited %d different times: builders would come back together", quickTries, len(seen))
	}
}
