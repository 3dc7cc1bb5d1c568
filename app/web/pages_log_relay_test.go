package web

import (
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
)

// However many follow logs, no more events are sent to them in a second than to those
// who are sent them as fast as they can read.
func TestPaceOfFollowers(t *testing.T) {
	var rs relays
	var leave []func()
	for n := range 1000 {
		_, gone := rs.join(logKey{build.ID{Store: "aaaaaa", Number: int64(n % 7)}, "s0t0", 1})
		leave = append(leave, gone)
		pace := rs.pace()
		if events := float64(n+1) / pace.Seconds(); events > 1001 || pace > linesEvery && events < 999 {
			t.Fatalf("%d followers, each after %s, are sent %.0f events in a second", n+1, pace, events)
		}
	}
	if pace := rs.pace(); pace != time.Second {
		t.Errorf("a thousand are sent something every %s", pace)
	}
	for _, gone := range leave {
		gone()
	}
	if pace := rs.pace(); pace != linesEvery || len(rs.open) != 0 {
		t.Errorf("with nobody left the pace is %s, and there are %d relays", pace, len(rs.open))
	}
}
