package builder

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/builder/executor"
	"github.com/velocity-ci/velocity/builder/mask"
	"github.com/velocity-ci/velocity/builder/source"
)

// An ending says how an attempt or a step of it ended, other than well. It is an
// error within this package, and the cause of a context that ends an attempt
// from outside.
type ending struct {
	verdict dispatch.Verdict // Failed or Interrupted
	reason  string           // not masked yet
}

func (e *ending) Error() string { return e.reason }

func failed(format string, args ...any) error {
	return &ending{verdict: dispatch.Failed, reason: fmt.Sprintf(format, args...)}
}

func interrupted(format string, args ...any) error {
	return &ending{verdict: dispatch.Interrupted, reason: fmt.Sprintf(format, args...)}
}

func timedOut() error { return failed("timed out") }

func canceled(reason string) error {
	if reason == "" {
		reason = "canceled"
	}
	return failed("%s", reason)
}

// judge turns how something ended into a verdict and its reason. What is not
// known to be the task's own fault is the machinery's: the task is tried again.
func judge(err error) (dispatch.Verdict, string) {
	var end *ending
	var start *executor.StartError
	var image *executor.ImageError
	switch {
	case err == nil:
		return dispatch.Succeeded, ""
	case errors.As(err, &end):
		return end.verdict, end.reason
	case errors.Is(err, executor.ErrEngine):
		return dispatch.Interrupted, err.Error()
	case errors.As(err, &start), errors.As(err, &image), errors.Is(err, source.ErrGone), errors.Is(err, source.ErrSubmodules):
		return dispatch.Failed, err.Error()
	}
	return dispatch.Interrupted, err.Error()
}

// because prefers why ctx ended to err: what a canceled call says is noise.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// maxReason bounds a reason, in bytes: it stands beside a state, not for a log.
const maxReason = 500

// shown is a reason as it may leave the builder: masked before it is cut.
func shown(m *mask.Masker, reason string) string {
	reason = m.String(reason)
	if len(reason) <= maxReason {
		return reason
	}
	return strings.ToValidUTF8(reason[:maxReason], "") + "…"
}
