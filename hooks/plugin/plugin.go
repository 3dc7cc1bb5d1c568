// Package plugin tells others what happens to builds: a Slack channel, a webhook, a
// program of the server's operator.
//
// It promises each plugin every event that it wants, at least once and in the order
// of the build, or else a notice in the build's event log. How far a plugin is, is
// kept durably, so that a restart neither loses events nor repeats them for ever. A
// plugin that hangs, breaks or floods holds up nothing but itself: whoever records
// moves waits for no plugin, and each has a queue and a circuit breaker of its own.
//
// What it leaves out: whose plugins are run, where they may connect and which
// secrets they are given is for its caller to say.
package plugin

import (
	"context"
	"fmt"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
)

// A Plugin is one that is to be told of a build.
type Plugin struct {
	ID     string            // among the plugins of the build; what its progress is kept by
	Lane   string            // plugins of one lane are told one after the other, and break together
	Called string            // what people know it by, without secrets
	Events []build.EventType // that it wants
	// Open makes the sender for one build, with the values that must not be in what it
	// is told. It is called by the lane's worker before the first event, and again after
	// an error. A *RefusedError says that the plugin is not run for this build.
	Open func(ctx context.Context) (s Sender, secrets []string, err error)
}

// A Sender brings events to where they are to go.
type Sender interface {
	// Send returns nil once the event has arrived. It is called by one goroutine at a
	// time for a build, and ends soon after ctx. A *RefusedError says that another try
	// would not help. No error tells a secret.
	Send(ctx context.Context, e *Event) error
}

// A RefusedError is one that no other try would mend.
type RefusedError struct{ Why string }

func (e *RefusedError) Error() string { return e.Why }

func refuse(format string, args ...any) error { return &RefusedError{fmt.Sprintf(format, args...)} }

// Progress is how far a plugin is with a build.
type Progress struct {
	Done int // events of the build that are dealt with, from the first, unwanted ones included
	Lost int // of these, how many were given up
}

// A Memory keeps what must survive a crash. It is called by several goroutines.
type Memory interface {
	// Moves are those of a build that are durable, from the first one on. ErrGone if the
	// build is not there any more.
	Moves(ctx context.Context, id build.ID) ([]build.Move, error)
	// Keep returns nil once the progress of all plugins that are owed something is
	// durable, by their ids; none means that the build can be forgotten. The calls about
	// one build come one after the other.
	Keep(ctx context.Context, id build.ID, progress map[string]Progress) error
	// Notice returns nil once a notice is in the build's event log, where the same text
	// is once, however often it is given. ErrGone as for Moves.
	Notice(ctx context.Context, id build.ID, text string) error
}

// Stats count since the start, or are as of now.
type Stats struct {
	Sent    int // events that arrived
	Retries int // tries that failed and are made again
	Lost    int // events that were given up
	Waiting int // plugins that have something to be told of a build, now
	Broken  int // lanes whose breaker is open, now
}

// Limits of patience with one event.
const (
	maxTries  = 8
	firstWait = time.Second // doubled twice from try to try
	longWait  = 5 * time.Minute
	maxAge    = 24 * time.Hour // of an event, after which one more failure ends it
	sendLimit = 45 * time.Second
)

// Limits of patience with a lane. Its breaker opens after so many failures in a row;
// then there is one try from time to time.
const (
	breakAfter = 5
	firstBreak = 30 * time.Second
	longBreak  = 10 * time.Minute
)

// backoff is how long to wait after n failures, n from 1: at least half of what
// doubles, and the rest by jitter, from 0 up to 1, so that many do not come at once.
func backoff(first, longest time.Duration, n, factor int, jitter float64) time.Duration {
	d := first
	for ; n > 1 && d < longest; n-- {
		d *= time.Duration(factor)
	}
	d = min(d, longest)
	return d/2 + time.Duration(jitter*float64(d/2))
}
