package builder

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/builder/executor"
)

// weighFor bounds how long an engine may take to tell its age.
const weighFor = 10 * time.Second

// weigh finds out whether the engine is too old for code of strangers. One that does
// not answer now leaves it at what was known: attempts ask again.
func (b *Builder) weigh(ctx context.Context) {
	if b.Floor == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, weighFor)
	defer cancel()
	old, err := "", b.Floor(ctx)
	if errors.Is(err, executor.ErrEngine) {
		return
	}
	if err != nil {
		old = err.Error()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case old == b.old:
	case old != "":
		b.Log.Warn("code of strangers is refused here", slog.String("reason", old))
	default:
		b.Log.Info("the engine is new enough for code of strangers now")
	}
	b.old = old
}

// aversion is why the builder takes no code of strangers, or "". The caller holds
// b.mu.
func (b *Builder) aversion(a dispatch.Assignment) string {
	if b.strange(a) {
		return b.old
	}
	return ""
}

// strange reports whether an assignment is for code of strangers: the builder may
// have been told so itself, or only its architect.
func (b *Builder) strange(a dispatch.Assignment) bool { return b.Untrusted || a.Untrusted }

// checkEngine interrupts an attempt for code of strangers whose engine is too old
// for that: another builder may have a newer one.
func (t *attempt) checkEngine(ctx context.Context) error {
	if t.builder.Floor == nil || !t.builder.strange(t.given) {
		return nil
	}
	if err := t.builder.Floor(ctx); err != nil {
		return interrupted("%v", err)
	}
	return nil
}
