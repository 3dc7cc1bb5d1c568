package builder

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/dispatch"
)

// keeper is a bench whose results outlive it.
func keeper(t *testing.T) *bench {
	t.Helper()
	w := newBench(t)
	w.Keep = 24 * time.Hour
	w.Grace, w.pace.parting = time.Millisecond, time.Millisecond
	return w
}

// successor is a builder that is started on what w left on the disk.
func (w *bench) successor(t *testing.T) *bench {
	t.Helper()
	next := keeper(t)
	next.SpoolDir, next.Boot = w.SpoolDir, "boot2"
	if err := next.Reap(t.Context()); err != nil {
		t.Fatal(err)
	}
	return next
}

// serve runs the builder until the returned function is called.
func (w *bench) serve(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { w.Run(ctx); close(ended) }()
	return func() { cancel(); <-ended }
}

// deaf runs a task to its end with an architect that answers nothing, and stops
// the builder.
func deaf(t *testing.T, text string) *bench {
	t.Helper()
	w := keeper(t)
	w.pace.pause = nil
	heard := make(chan struct{}, 100)
	w.ear.onLog = func(dispatch.Chunk) (int64, error, bool) { return 0, errLost, true }
	w.ear.onEnd = func(dispatch.Result) error { heard <- struct{}{}; return errLost }
	stop := w.serve(t)
	w.take(t, script(text))
	// The log is insisted on before the result, which is on the disk by then.
	awaitRecord(t, w.SpoolDir)
	stop()
	return w
}

// awaitRecord returns once the spool holds the record of an attempt that ended.
func awaitRecord(t *testing.T, spool string) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		found, _ := filepath.Glob(filepath.Join(spool, "*"))
		for _, dir := range found {
			if r, _, err := (keeping{dir: dir}).load(); err == nil && r.Verdict != "" {
				return
			}
		}
	}
}

func TestResultSurvivesARestart(t *testing.T) {
	w := deaf(t, "echo one; echo two >&2; exit 3")
	next := w.successor(t)
	present := make(chan struct{})
	next.ear.onEnd = func(dispatch.Result) error { <-present; return nil } // else it may be over before the first sign of life
	stop := next.serve(t)
	p := <-next.ear.here
	close(present)
	r := <-next.ear.ends
	if diff := cmp.Diff([]dispatch.Attempt{r.Attempt}, p.Running); diff != "" {
		t.Errorf("the first sign of life mentions (-want +got):\n%s", diff)
	}
	if r.Verdict != dispatch.Failed || r.Reason != "exit 3" || len(r.Steps) != 2 || r.Steps[1].Exit != 3 {
		t.Errorf("ended %s, %q, %+v", r.Verdict, r.Reason, r.Steps)
	}
	if got := next.ear.text(); !strings.Contains(got, "one\n") || !strings.Contains(got, "two\n") {
		t.Errorf("the log is %q", got)
	}
	next.checkLog(t, r)
	next.attempts.Wait()
	next.checkClean(t)
	stop()
}

func TestAttemptUnderWayIsInterruptedByARestart(t *testing.T) {
	w := keeper(t)
	a := assignment("s0t0", 1).Attempt
	if err := w.keeping(a).begin(a); err != nil { // and then the process was killed
		t.Fatal(err)
	}
	next := w.successor(t)
	defer next.serve(t)()
	r := <-next.ear.ends
	if r.Attempt != a || r.Verdict != dispatch.Interrupted || r.Reason != "builder restarted" {
		t.Errorf("the result is %+v", r)
	}
}

// An assignment may arrive before the builder has looked at what an earlier
// process left.
func TestAttemptOfThisProcessIsNotResumed(t *testing.T) {
	w := keeper(t)
	a := w.take(t, script("echo ready; exec sleep 600"))
	w.ear.await(t, "ready")
	w.resume()
	if r, _, err := w.keeping(a).load(); err != nil || r.Verdict != "" {
		t.Errorf("the record of an attempt that runs: %+v, %v", r, err)
	}
	w.halt()
	w.attempts.Wait()
}

func TestStaleResultIsRemovedAfterARestart(t *testing.T) {
	w := deaf(t, "echo x")
	next := w.successor(t)
	next.ear.onLog = func(dispatch.Chunk) (int64, error, bool) { return 0, dispatch.ErrStale, true }
	next.ear.onEnd = func(dispatch.Result) error { return dispatch.ErrStale }
	next.resume()
	next.attempts.Wait()
	next.checkClean(t)
}

func TestResultIsGivenUpInTheEnd(t *testing.T) {
	w := deaf(t, "echo x")
	next := w.successor(t)
	start := time.Now()
	var hours atomic.Int64
	next.Now = func() time.Time { return start.Add(time.Duration(hours.Load()) * time.Hour) }
	var ends atomic.Int32
	next.ear.onEnd = func(dispatch.Result) error {
		if ends.Add(1) == 3 {
			hours.Store(25)
		}
		return errLost
	}
	next.resume()
	next.attempts.Wait()
	if !strings.Contains(next.log.String(), "given up") || ends.Load() != 3 {
		t.Errorf("the result was sent %d times; the log says %s", ends.Load(), next.log.String())
	}
	next.checkClean(t)
}

func TestReapKeepsResultsAndNothingElse(t *testing.T) {
	w := deaf(t, "echo x")
	for name, content := range map[string]string{
		"k3f9a2-7-s0t9.1/record.json": `{"version":1,"build":"k3f9a2-7","task":"s0t8","attempt":1}`, // of another attempt
		"k3f9a2-7-s0t8.1/record.json": `{"version":1,`,
		"k3f9a2-7-s0t7.1/log.txt":     "no record",
	} {
		path := filepath.Join(w.SpoolDir, name)
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.successor(t)
	left, err := filepath.Glob(filepath.Join(w.SpoolDir, "*"))
	if want := []string{filepath.Join(w.SpoolDir, "k3f9a2-7-s0t0.1")}; err != nil || !cmp.Equal(want, left) {
		t.Errorf("the spool holds %v, %v; want %v", left, err, want)
	}
}

func TestDrainLeavesResultsToTheNextProcess(t *testing.T) {
	w := keeper(t)
	w.pace.pause = nil
	w.ear.onEnd = func(dispatch.Result) error { return errLost }
	w.take(t, script("true"))
	if err := w.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.dropReports()
	w.attempts.Wait()
	next := w.successor(t)
	defer next.serve(t)()
	if r := <-next.ear.ends; r.Verdict != dispatch.Succeeded {
		t.Errorf("ended %s, %q", r.Verdict, r.Reason)
	}
}

func TestDrainedBuilderHandsBack(t *testing.T) {
	w := keeper(t)
	w.Grace = time.Second
	w.pace.parting = time.Minute
	stop := w.serve(t)
	w.take(t, script("echo ready; exec sleep 600"))
	w.ear.await(t, "ready")
	if _, working := w.drain(); !working {
		t.Error("drain does not see the attempt")
	}
	stop()
	if r := <-w.ear.ends; r.Verdict != dispatch.Interrupted || r.Reason != "drained" {
		t.Errorf("ended %s, %q", r.Verdict, r.Reason)
	}
	w.checkClean(t)
}

func TestNothingNewWithoutRoom(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*bench)
		want   string
	}{
		"below the floor": {func(w *bench) { w.DiskFloor = math.MaxInt64 }, "below the floor"},
		"full spool":      {func(w *bench) { w.SpoolLimit = 1 }, "spool: "},
	} {
		t.Run(name, func(t *testing.T) {
			w := keeper(t)
			c.change(w)
			w.examine(true)
			if got := refusal(t, w.Take(assignment("s0t0", 1))); !strings.Contains(got, c.want) {
				t.Errorf("refused with %q", got)
			}
			if !w.presence().Draining {
				t.Error("the architect is not told")
			}
			w.DiskFloor, w.SpoolLimit = 1, 0
			w.examine(true)
			if p := w.presence(); p.Draining {
				t.Errorf("with room again the presence is %+v", p)
			}
		})
	}
}

func TestNothingNewWhenNobodyHears(t *testing.T) {
	w := keeper(t)
	w.Lease = 8 * time.Second
	now := time.Now()
	w.Now = func() time.Time { return now }
	w.examine(true)
	now = now.Add(9 * time.Second) // frozen, or cut off
	w.examine(false)
	if got := refusal(t, w.Take(assignment("s0t0", 1))); !strings.Contains(got, "has not answered") {
		t.Errorf("refused with %q", got)
	}
	w.examine(true)
	if err := w.Take(assignment("s0t0", 1)); err != nil {
		t.Errorf("heard again: %v", err)
	}
	<-w.ear.ends
}

func TestWorkspaceLimit(t *testing.T) {
	w := newBench(t)
	w.WorkspaceLimit, w.pace.measure = 1<<20, time.Millisecond
	r := w.build(t, script("head -c 3000000 /dev/zero >big; exec sleep 600", "true"))
	if r.Verdict != dispatch.Failed || !strings.Contains(r.Reason, "more than its limit of 1 MiB") {
		t.Errorf("ended %s, %q", r.Verdict, r.Reason)
	}
	w.checkClean(t)
}

func TestSweepRemovesLeftovers(t *testing.T) {
	w, started, release := held(t)
	w.pace.sweep = time.Millisecond
	if err := w.Take(assignment("s0t0", 1)); err != nil {
		t.Fatal(err)
	}
	<-started
	old := filepath.Join(w.SpoolDir, "k3f9a2-7-s0t5.1")
	if err := os.Mkdir(old, 0o700); err != nil {
		t.Fatal(err)
	}
	stop := w.serve(t)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if _, err := os.Stat(old); err != nil {
			break
		}
	}
	if _, err := os.Stat(w.keeping(assignment("s0t0", 1).Attempt).dir); err != nil {
		t.Errorf("the folder of a running attempt: %v", err)
	}
	release()
	<-w.ear.ends
	stop()
}
