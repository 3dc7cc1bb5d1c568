package builder

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect/dispatch"
)

var errLost = errors.New("no answer")

// Answers that are lost, an architect that forgets what it had, a result that is
// not heard: the log arrives whole and the result last.
func TestLostAnswers(t *testing.T) {
	w := newBench(t)
	var calls, ends atomic.Int32
	w.ear.onLog = func(c dispatch.Chunk) (int64, error, bool) {
		switch n := calls.Add(1); {
		case n%3 == 0:
			return 0, errLost, true
		case n%3 == 1 && n < 12:
			w.ear.mu.Lock()
			defer w.ear.mu.Unlock()
			half := len(w.ear.files[c.File]) / 2
			w.ear.files[c.File] = w.ear.files[c.File][:half]
			return int64(half), nil, true
		}
		return 0, nil, false
	}
	w.ear.onEnd = func(dispatch.Result) error {
		if ends.Add(1) < 4 {
			return errLost
		}
		return nil
	}
	r := w.build(t, script(`i=0; while [ $i -lt 20000 ]; do echo "line $i of a log that takes several chunks"; i=$((i+1)); done`))
	if r.Verdict != dispatch.Succeeded {
		t.Fatalf("ended %s, %q", r.Verdict, r.Reason)
	}
	if r.Log.Lines != 20000 {
		t.Errorf("the log has %d lines", r.Log.Lines)
	}
	w.checkLog(t, r)
	w.checkClean(t)
	if ends.Load() != 4 {
		t.Errorf("the result was sent %d times", ends.Load())
	}
}

// Whoever learns from any answer that the attempt is stale stops it, and says no
// more about it.
func TestStaleStopsTheAttempt(t *testing.T) {
	w := newBench(t)
	w.ear.onLog = func(dispatch.Chunk) (int64, error, bool) { return 0, dispatch.ErrStale, true }
	w.take(t, script("echo ready; exec sleep 600"))
	if err := w.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case r := <-w.ear.ends:
		t.Errorf("a stale attempt reported %+v", r)
	default:
	}
	w.checkClean(t)
}

func TestStaleResultIsGivenUp(t *testing.T) {
	w := newBench(t)
	var ends atomic.Int32
	w.ear.onEnd = func(dispatch.Result) error { ends.Add(1); return dispatch.ErrStale }
	w.take(t, script("echo x"))
	if err := w.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ends.Load() != 1 {
		t.Errorf("the result was sent %d times", ends.Load())
	}
	w.checkClean(t)
}

// An architect that never answers does not keep a builder from stopping.
func TestRunDoesNotWaitForeverForAnswers(t *testing.T) {
	w := newBench(t)
	w.Grace, w.pace.parting = time.Millisecond, time.Millisecond
	w.pace.pause = nil
	w.ear.onEnd = func(dispatch.Result) error { return errLost }
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { w.Run(ctx); close(ended) }()
	w.take(t, script("echo ready; exec sleep 600"))
	w.ear.await(t, "ready")
	stop()
	<-ended
	if !strings.Contains(w.log.String(), "result was not taken") {
		t.Errorf("nothing tells that the result is lost: %s", w.log.String())
	}
	w.checkClean(t)
}

func TestChunksAreBounded(t *testing.T) {
	w := newBench(t)
	var worst atomic.Int64
	w.ear.onLog = func(c dispatch.Chunk) (int64, error, bool) {
		worst.Store(max(worst.Load(), int64(len(c.Data))))
		return 0, nil, false
	}
	r := w.build(t, script("head -c 2000000 /dev/zero | tr '\\0' x"))
	w.checkLog(t, r)
	if worst.Load() > dispatch.MaxChunk || r.Log.Bytes != 2000000 {
		t.Errorf("a chunk of %d bytes, a log of %d", worst.Load(), r.Log.Bytes)
	}
}
