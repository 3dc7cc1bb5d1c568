package app

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"time"

	"github.com/velocity-ci/velocity/app/web"
	"github.com/velocity-ci/velocity/app/web/page"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/blueprint/plan"
	"github.com/velocity-ci/velocity/builder/spool"
	"github.com/velocity-ci/velocity/storage"
)

// A chronicle is what pages tell of the builds of a repository beside how they
// stand.
type chronicle struct{ of *served }

// Plan implements web.Record.
func (c chronicle) Plan(ctx context.Context, id build.ID) (*plan.Plan, error) {
	return c.of.ledger.Plan(ctx, id)
}

// Moves implements web.Record.
func (c chronicle) Moves(ctx context.Context, id build.ID) ([]build.Move, error) {
	_, moves, err := c.of.ledger.Build(ctx, id)
	return moves, err
}

// LogFrom implements web.Record: from the running copy as long as there is one,
// else from what was recorded.
func (c chronicle) LogFrom(ctx context.Context, id build.ID, task string, attempt int, offset, limit int64) ([]byte, error) {
	at := dispatch.Attempt{Build: id, Task: task, Number: attempt}
	before := min(offset, 1) // a byte that is there already tells a copy with nothing new from none
	if data, err := c.of.site.Logs.Read(at, offset-before, limit+before); err == nil && len(data) > 0 {
		return data[before:], nil
	}
	text, err := c.of.ledger.LogFrom(ctx, id, task, attempt, offset, limit)
	if errors.Is(err, storage.ErrNoLog) {
		return nil, nil
	}
	return text, err
}

// LogTimes implements web.Record.
func (c chronicle) LogTimes(ctx context.Context, id build.ID, task string, attempt int) (func(offset int64) time.Duration, error) {
	times, err := c.of.ledger.LogTimes(ctx, id, task, attempt)
	if errors.Is(err, storage.ErrNoLog) || err == nil && times == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	marks, err := spool.ParseTimes(times)
	if err != nil {
		return nil, err
	}
	return since(marks), nil
}

// sessionsOf are the sessions of a server's pages. Their key follows from the
// server's, so that people stay signed in when it starts again.
func sessionsOf(signer *dispatch.Signer, conf *serverConfig) *web.Sessions {
	sum := sha256.Sum256([]byte("velocity/1 sessions of pages\x00" + signer.Seed()))
	return &web.Sessions{Key: sum[:], Secure: conf.TLS.Certificate != "" || conf.Proxy || strings.HasPrefix(conf.URL, "https:")}
}

// pageOf tells where others find the page of a build, or the log of a task of it, on
// a server that knows its own address; nil on one that does not.
func pageOf(conf *serverConfig) func(id build.ID, task string) string {
	if !conf.public() || conf.URL == "" {
		return nil
	}
	base := strings.TrimSuffix(conf.URL, "/")
	return func(id build.ID, task string) string {
		if task == "" {
			return base + page.BuildPath(id)
		}
		return base + page.TaskPath(id, task)
	}
}
