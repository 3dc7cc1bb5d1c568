package require

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
)

var bubbles struct {
	sync.Mutex
	open       int
	processors int // before the first was opened
}

// Bubble runs a test in a bubble of [synctest.Test]. As long as there are bubbles the
// program has one processor: two goroutines of a bubble that fire timers at the same
// time break the race detector (golang/go#78156, not mended in Go 1.26).
func Bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	bubbles.Lock()
	if bubbles.open++; bubbles.open == 1 {
		bubbles.processors = runtime.GOMAXPROCS(1)
	}
	bubbles.Unlock()
	defer func() {
		bubbles.Lock()
		defer bubbles.Unlock()
		if bubbles.open--; bubbles.open == 0 {
			runtime.GOMAXPROCS(bubbles.processors)
		}
	}()
	synctest.Test(t, test)
}
