// Package dispatch is the wire between the architect and its builders: the
// messages, their encoding, and both ends of it over core NATS.
//
// NATS keeps nothing and may lose anything at any moment. Every message is
// therefore a request that is answered, sent again until it is, and harmless
// when it arrives twice: the attempt's number is the fence, and the one who asks
// learns by ErrStale that nobody waits for its work any more.
package dispatch

import (
	"errors"
	"fmt"
	"time"

	"github.com/velocity-ci/velocity/architect/build"
	"github.com/velocity-ci/velocity/blueprint/plan"
)

// ErrStale answers whoever speaks for an attempt that is not the current one, or
// of a task that is final: stop, clean up, take other work.
var ErrStale = errors.New("attempt is no longer current")

// A RefusedError is a builder's answer to an assignment it will not take. The
// attempt counts as interrupted.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return "builder refused: " + e.Reason }

// An Attempt is one try of one task. It is what fencing compares.
type Attempt struct {
	Build  build.ID
	Task   string // key
	Number int    // from 1
}

func (a Attempt) String() string { return fmt.Sprintf("%s/%s/%d", a.Build, a.Task, a.Number) }

// An Assignment is all that a builder needs to build a task.
type Assignment struct {
	Attempt    Attempt
	Repository string // what it stays known by, whatever people call it; it is fetched from there
	Source     string // where the commit is fetched from: a path on the builder's machine, or a URL
	Commit     plan.Commit
	Ref        string
	Git        map[string]string // the plan's git.* values
	Task       plan.Task
	Submodules Submodules

	// Untrusted means that it is code of strangers, whatever the builder was told that
	// it is there for.
	Untrusted bool `json:",omitempty"`

	// Needs are the earlier tasks whose artifacts are unpacked before the first step.
	Needs []Need
	// Caches says which of the repository's caches the attempt may read; "" is none.
	// CacheWrite lets it leave new ones there.
	Caches     CacheClass
	CacheWrite bool

	// Traced says that the build's trace will be sent: steps are told their place in it.
	Traced bool `json:",omitempty"`

	// Values of parameters that the plan leaves open: build.*, and what was given
	// for secret ones. Never logged, and sealed to the builder on the wire.
	Values map[string]string
	// Credential opens Source to this attempt for as long as it is under way: the
	// password of the user "attempt". "" when Source asks for none. Never logged,
	// and sealed like Values.
	Credential string
}

// Submodules says from where those of a repository may come.
type Submodules struct {
	Origin string   // https or ssh address of the repository itself, without a password; "" is not known
	Hosts  []string // that are allowed beside Origin's: a name, or name:port
}

// A Need names a task whose artifacts another one needs.
type Need struct {
	Name string   // of the task, for people
	Of   build.ID // the build that it was built in: this one, or that of a success that stands in for it
	Task string   // key there
}

// A CacheClass keeps caches apart whose makers are trusted differently.
type CacheClass string

// The classes of caches.
const (
	TrustedCaches CacheClass = "trusted" // what was pushed to a repository by those who may
	LocalCaches   CacheClass = "local"   // `velocity run` on somebody's own machine
)

// A Presence is a builder's sign of life.
type Presence struct {
	Builder  string
	Boot     string // differs after every start of the builder's process
	Capacity int    // attempts it runs at the same time
	Draining bool   // takes nothing new
	Reason   string // why it takes nothing new; "" if it does
	Running  []Attempt

	Labels    map[string]string // what tasks select builders by
	Executors []string          // kinds of steps it takes: "docker", with an image, "host", without, and "compose"
	Untrusted bool              // for tasks of untrusted code
	Mirrors   []string          // repositories it has mirrors of
	Version   string            // of the builder's program
	FreeDisk  int64             // bytes where workspaces are; 0 when not known
}

// BeatEvery is the time between two signs of life; after three missed ones a
// builder is lost. After a break, in which nobody could be heard, it may take
// until BackWithin: the next try to connect can be that far.
const (
	BeatEvery  = 2 * time.Second
	LostAfter  = 3 * BeatEvery
	BackWithin = LostAfter + longestWait
)

// A Progress tells how far an attempt is. It holds all steps, so that any number
// of lost ones is made up for by the next.
type Progress struct {
	Attempt Attempt
	Steps   []build.Step
}

// A File names one of the two parts of an attempt's log.
type File string

// The parts of a log.
const (
	TextFile  File = "txt"
	TimesFile File = "times"
)

// A Chunk is a piece of an attempt's log, masked, at its place in the file.
type Chunk struct {
	Attempt Attempt
	File    File
	Offset  int64
	Data    []byte // at most MaxChunk
}

// MaxChunk bounds the data of one chunk, in bytes.
const MaxChunk = 256 << 10

// A Verdict is how an attempt ended.
type Verdict string

// The verdicts of a builder.
const (
	Succeeded   Verdict = "succeeded"
	Failed      Verdict = "failed"
	Interrupted Verdict = "interrupted" // no fault of the task: it is tried again
)

// A Result ends an attempt. It is repeated until it is answered.
type Result struct {
	Attempt Attempt
	Verdict Verdict
	Reason  string // masked; "exit 2", "timed out", …; "" when all went well
	Steps   []build.Step
	Log     build.Log
	Times   int64 // bytes of the times file

	// What the attempt left behind, bounded as build.Bounded and build.Listed do.
	Tests     build.Tests
	Findings  []build.Finding
	Artifacts []build.Artifact // of a success: all of them are where they are kept
}
