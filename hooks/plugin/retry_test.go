package plugin

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/builder/require"
)

// A fuse fails as long as it says so, and counts who asked.
type fuse struct {
	fails func(try int64) error
	tries atomic.Int64
	got   atomic.Int64
}

func (f *fuse) Send(context.Context, *Event) error {
	if err := f.fails(f.tries.Add(1)); err != nil {
		return err
	}
	f.got.Add(1)
	return nil
}

// told runs n builds that ended, and returns what is on the shelf after a time.
func told(t *testing.T, f *fuse, n int64, after time.Duration, see func(*shelf, *Runner)) {
	t.Helper()
	s := newShelf(1, 0)
	r := &Runner{Memory: s, Logger: slog.New(slog.DiscardHandler), Now: time.Now, Jitter: func() float64 { return 0.5 }}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); r.Run(ctx) }()
	for number := range n {
		b, moves := build.New(request(number+1, 1), time.Now())
		refused, err := b.Do(build.Move{Kind: build.Refuse, Reason: "no plan", At: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		s.record(b.ID, append(moves, refused...))
		r.Adopt(b.ID, []Plugin{{
			ID: "site/x", Lane: "x", Called: "x", Events: []build.EventType{build.BuildComplete, build.BuildFail},
			Open: func(context.Context) (Sender, []string, error) { return f, nil, nil },
		}}, nil)
	}
	pass(after)
	see(s, r)
	stop()
	<-ended
}

// What fails for a while arrives, without a notice.
func TestRetries(t *testing.T) {
	require.Bubble(t, func(t *testing.T) {
		f := &fuse{fails: func(try int64) error {
			if try <= 3 {
				return errFault
			}
			return nil
		}}
		told(t, f, 1, time.Hour, func(s *shelf, r *Runner) {
			if f.got.Load() != 2 || f.tries.Load() != 5 || len(s.notices) > 0 || r.Stats() != (Stats{Sent: 2, Retries: 3}) {
				t.Errorf("%d events in %d tries, notices %q, %+v", f.got.Load(), f.tries.Load(), s.notices, r.Stats())
			}
		})
	})
}

// A plugin that is broken for good is asked ever less often, also for a hundred
// builds, and each of them has a notice in the end.
func TestBreaker(t *testing.T) {
	require.Bubble(t, func(t *testing.T) {
		f := &fuse{fails: func(int64) error { return errFault }}
		told(t, f, 100, 6*time.Hour, func(s *shelf, r *Runner) {
			if tries := f.tries.Load(); tries > 60 || tries < 30 || r.Stats().Broken != 1 || r.Stats().Waiting == 0 {
				t.Errorf("%d tries in six hours, %+v", tries, r.Stats())
			}
			pass(30 * 24 * time.Hour)
			if len(s.notices) != 100 || r.Stats().Lost != 200 || len(r.tales) > 0 {
				t.Errorf("%d builds have notices, %+v", len(s.notices), r.Stats())
			}
			id := build.ID{Store: "k3f9a2", Number: 1}
			if n := s.notices[id]; len(n) != 2 || !strings.HasPrefix(n[0], "plugin x was not told of BUILD_COMPLETE") || n[1] != "plugin x was not told of 1 more of its events" {
				t.Errorf("notices %q", n)
			}
		})
	})
}

// A lane that is broken goes on with all that waits when it is mended.
func TestBreakerCloses(t *testing.T) {
	require.Bubble(t, func(t *testing.T) {
		begun := time.Now()
		f := &fuse{fails: func(int64) error {
			if time.Since(begun) < 2*time.Hour {
				return errFault
			}
			return nil
		}}
		told(t, f, 50, 3*time.Hour, func(s *shelf, r *Runner) {
			if lost := int64(r.Stats().Lost); f.got.Load()+lost != 100 || lost > 4 || r.Stats().Waiting > 0 || r.Stats().Broken > 0 {
				t.Errorf("%d events came, %+v", f.got.Load(), r.Stats())
			}
		})
	})
}

// A plugin that is not run, and one that says a secret of its own, are a
// notice without a secret.
func TestNotOpened(t *testing.T) {
	require.Bubble(t, func(t *testing.T) {
		s := newShelf(1, 0)
		r := &Runner{Memory: s, Logger: slog.New(slog.DiscardHandler), Now: time.Now, Jitter: func() float64 { return 0 }}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); r.Run(ctx) }()
		b, moves := build.New(request(1, 1), time.Now())
		moves = append(moves, b.Open(time.Now())...)
		s.record(b.ID, moves)
		r.Adopt(b.ID, []Plugin{
			{ID: "a", Lane: "a", Called: "a", Events: allEvents, Open: func(context.Context) (Sender, []string, error) { return nil, nil, refuse("fork") }},
			{ID: "b", Lane: "b", Called: "b", Events: allEvents, Open: func(context.Context) (Sender, []string, error) {
				return &fuse{fails: func(int64) error { return refuse("the key hunter22 is wrong") }}, []string{"hunter22"}, nil
			}},
		}, nil)
		if err := r.Settle(ctx); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		got := fmt.Sprint(s.notices[b.ID])
		for _, want := range []string{"plugin a is not run: fork", "plugin b was not told of BUILD_START: the key *** is wrong"} {
			if !strings.Contains(got, want) {
				t.Errorf("notices %s lack %q", got, want)
			}
		}
		if _, owed := s.progress[b.ID]["a"]; owed {
			t.Error("what is not run is still owed something")
		}
		r.Leave(b.ID.Store)
		if len(r.tales) > 0 || len(r.lanes) > 0 {
			t.Errorf("left behind: %d builds, %d lanes", len(r.tales), len(r.lanes))
		}
		stop()
		<-ended
	})
}
