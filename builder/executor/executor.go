// Package executor holds what the builder asks of whoever runs one step: a
// command with every value final, and how it ended. It starts nothing itself;
// builder/host and builder/docker do, and builder chooses between them.
package executor

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// A Pull says when a container's image is fetched from its registry.
type Pull string

// The values of a step's `pull`. The zero value means PullMissing.
const (
	PullMissing Pull = "missing"
	PullAlways  Pull = "always"
	PullNever   Pull = "never"
)

// An Owner names the attempt on whose behalf a command runs. Executors mark with
// it whatever they start, so that a later process can tell leftovers of its own
// from what belongs to others.
type Owner struct {
	Builder string // the builder's name
	Build   string // the build's id, such as k3f9a2-1234
	Task    string // the task's key within the build, such as s0t1
	Attempt int    // counted from 1
}

// String is the owner as one word without blanks: builder/build/task/attempt.
func (o Owner) String() string {
	return fmt.Sprintf("%s/%s/%s/%d", o.Builder, o.Build, o.Task, o.Attempt)
}

// A Command is one process to run. Nothing in it is expanded, split or looked up
// again: values reach the process byte by byte.
type Command struct {
	Owner Owner

	Argv []string // program and arguments; at least one
	Env  []string // "NAME=value"; an executor adds what its place needs (PATH, HOME)

	Workspace string   // absolute directory on the builder's machine
	Dir       string   // working directory relative to Workspace, slash separated; "" is its root
	ReadOnly  []string // further absolute directories, seen unchanged at the same path

	Image      string // docker only: the image's reference
	Pull       Pull   // docker only
	MountPoint string // docker only: absolute path at which a container sees Workspace
	User       string // docker only: "" keeps the image's own
	Network    string // docker only: "" is the engine's default, "none" cuts it off

	Logins   []Login   // docker only: for the images of the command and of its services
	Services []Service // docker only: containers beside it; Network must be "" then

	// Begin, unless nil, is told the name of the container that is about to start;
	// an error keeps it from starting. By the name a later process finds the
	// container, whose output the engine keeps until it is removed. docker only.
	Begin func(container string) error

	Stdout, Stderr io.Writer // must tolerate being called from different goroutines

	// Grace is how long a canceled command may take to end after it was asked
	// to (TERM) before it is made to (KILL).
	Grace time.Duration
}

// A Result tells how a command that was started ended.
type Result struct {
	Exit  int    // exit status; 128+n when signal n ended it
	Image string // docker only: the image's content address, sha256:…
}

// A StartError means that the command never ran: nothing it could have done has
// happened. Hint says what the author of the step can do about it.
type StartError struct {
	What string // such as `command "gmake" not found in PATH`
	Hint string // such as "install it on the builder or name an image"
	Err  error  // cause, may be nil
}

func (e *StartError) Error() string {
	if e.Hint == "" {
		return e.What
	}
	return e.What + " (" + e.Hint + ")"
}

func (e *StartError) Unwrap() error { return e.Err }

// ErrEngine marks failures of the machinery rather than of the command: the
// engine vanished, the disk is full. The attempt is interrupted, not failed.
var ErrEngine = errors.New("executor broke")
