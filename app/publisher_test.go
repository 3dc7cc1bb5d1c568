package app

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/velocity-ci/velocity/architect/build"
)

// TestPublisherPace: folds are gathered before they are published, failures are
// tried again ever more slowly and logged when they change, and the end of the
// process sends what is still due.
func TestPublisherPace(t *testing.T) {
	var log strings.Builder
	ctx, cancel := context.WithCancel(t.Context())
	sends := 0
	var p *publisher
	p = newPublisher(slog.New(slog.NewTextHandler(&log, nil)), func(context.Context) (int, error) {
		switch sends++; sends {
		case 1:
			p.folded(build.ID{}) // too late to be part of this one
		case 2, 3:
			return 0, errors.New("down")
		case 4:
			return 0, errors.New("refused")
		case 5:
			cancel()
		}
		return 1, nil
	})
	var waits []time.Duration
	p.sleep = func(_ context.Context, d time.Duration) error {
		waits = append(waits, d)
		p.folded(build.ID{}) // part of what is about to be sent
		p.folded(build.ID{})
		return nil
	}
	p.run(ctx)
	want := []time.Duration{publishSettle, publishSettle, publishRetry, 2 * publishRetry, 4 * publishRetry}
	if diff := cmp.Diff(want, waits); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
	p.last()
	if sends != 5 {
		t.Errorf("sent %d times, want 5 and nothing left at the end", sends)
	}
	p.folded(build.ID{})
	p.last()
	p.last()
	if sends != 6 {
		t.Errorf("sent %d times, want 6: the last for what was due at the end", sends)
	}
	if got := strings.Count(log.String(), "cannot publish"); got != 2 {
		t.Errorf("%d failures logged, want one for each kind:\n%s", got, log.String())
	}
}
