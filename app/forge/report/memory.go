package report

import (
	"context"
	"iter"
	"time"

	"github.com/velocity-ci/velocity/app/forge"
	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// A Key names a check for ever. Only one post of it is under way at a time.
type Key struct {
	Repository forge.Key
	Commit     plan.Commit
	Name       string
}

// A Memory keeps what forges were told. It is called by several goroutines, but
// about one key by one at a time.
type Memory interface {
	// Told is what was kept last; the zero value if nothing was, or it is lost.
	Told(ctx context.Context, k Key) (forge.Told, error)
	// Keep returns nil once told would survive a crash.
	Keep(ctx context.Context, k Key, told forge.Told) error
}

// A Source knows the builds that are to be shown.
type Source interface {
	// Builds yields those that are not over, and those that ended after since, each
	// as it durably is. What cannot be read is yielded as an error, and the others
	// still come.
	Builds(ctx context.Context, since time.Time) iter.Seq2[Shown, error]
}

// A Parked check is not tried again for now.
type Parked struct {
	Key
	Build  build.ID
	Reason string
	Since  time.Time
}

// Stats count since the start, or are as of now.
type Stats struct {
	Posts       int           // answered by the forge, well or not
	Retries     int           // posts that failed and are tried again
	LimitPauses int           // times that a forge asked us to wait
	Parked      int           // now
	Waiting     int           // checks that a forge does not show as they are, now
	OldestWait  time.Duration // how long the first of those has waited
}
