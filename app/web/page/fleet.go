package page

import (
	"time"

	"github.com/velocity-ci/velocity/app/api"
	"github.com/velocity-ci/velocity/architect/build"
)

// Builders are the builders of the server, with what they run.
type Builders struct {
	List []Builder
	Said string // what came of what was just asked for; "" for nothing
}

// A Builder is one of them.
type Builder struct {
	api.Builder
	Runs []Running
}

// Turns reports whether the builder can be drained or resumed: one that is
// registered, and not revoked.
func (b Builder) Turns() bool { return !b.Registered.IsZero() && !b.Revoked }

// A Running task is with a builder now.
type Running struct {
	Repository string
	Build      *build.Build
	Task       *build.Task
}

func (Builders) about() (string, string) { return "builders", "Builders" }

// Standing is how the builder stands, in a word.
func (b Builder) Standing() string {
	switch {
	case b.Revoked:
		return "revoked"
	case b.Connection == nil:
		return "away"
	case b.Drained:
		return "draining"
	}
	return "here"
}

// A Queue is what is not done yet.
type Queue struct {
	Waiting []Waiting // the longest first
	Running []Running
}

// A Waiting task is ready, or its build is not allowed to start.
type Waiting struct {
	Running
	Since time.Time
	Why   string
}

func (Queue) about() (string, string) { return "queue", "Queue" }
