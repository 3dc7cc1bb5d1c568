package app

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/velocity-ci/velocity/architect"
)

// What is under way gets its time when a process is told to end, and none if that
// ends by itself.
func TestFinish(t *testing.T) {
	told, tell := context.WithCancel(t.Context())
	tell()
	untilItEnds := func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }
	atOnce := func(ctx context.Context) error { return ctx.Err() }
	ended, end := context.WithCancelCause(t.Context())
	end(errors.New("broken"))
	for name, c := range map[string]struct {
		ctx, working context.Context
		grace        time.Duration
		drain        func(context.Context) error
		want         error
	}{
		"over in time":     {told, t.Context(), time.Hour, atOnce, nil},
		"in its own time":  {told, t.Context(), -1, atOnce, nil},
		"not in time":      {told, t.Context(), time.Millisecond, untilItEnds, errGraceOver},
		"without any time": {told, t.Context(), 0, untilItEnds, errGraceOver},
		"ended by itself":  {t.Context(), ended, time.Hour, untilItEnds, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if err := finish(c.ctx, c.working, c.grace, c.drain); !errors.Is(err, c.want) {
				t.Errorf("finish = %v, want %v", err, c.want)
			}
		})
	}
}

// A server that is told to stop says so to its service manager and to whoever asks
// whether it is ready.
func TestStoppingIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	c := &cli{env: map[string]string{envManager: path, "LANG": "C"}, now: time.Now}
	s := &service{c: c, log: silent(), architect: architect.New(nil, silent(), c.clock)}
	s.taking.Store(true)
	if err := s.drain(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if s.takesIn() == nil {
		t.Error("a server that is stopping is ready")
	}
	text := make([]byte, 100)
	if n, err := manager.Read(text); err != nil || string(text[:n]) != managerStopping {
		t.Errorf("the manager was told %q, %v", text[:n], err)
	}
	if env := c.stepEnvironment(); !slices.Equal(env, []string{"LANG=C"}) {
		t.Errorf("steps see %q: they could speak to the manager", env)
	}
}
