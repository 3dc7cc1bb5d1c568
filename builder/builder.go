// Package builder is the worker: it takes an attempt, runs its steps and tells
// how it went.
//
// It promises that an attempt leaves nothing behind: no process, no workspace,
// no log once the architect has it; and, with Keep, that no result is lost before
// that, whatever becomes of this process or its machine. No secret leaves it unmasked, in logs, in
// reasons or anywhere else. It decides nothing about builds: which attempt counts
// is the architect's to say, and an attempt that is told to be stale just ends.
//
// The messages of architect/dispatch are the words it speaks, and the only thing
// of the architect's side that it imports.
package builder

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/velocity-ci/velocity/architect/dispatch"
	"github.com/velocity-ci/velocity/builder/executor"
	"github.com/velocity-ci/velocity/builder/source"
)

// An Architect is told how attempts go, from many goroutines. Each call returns
// nil once the architect will not forget what it was told, or dispatch.ErrStale
// if nobody waits for the attempt any more. Any other error means: say it again.
// A chunk's data is only valid until Log returns.
type Architect interface {
	Here(ctx context.Context, p dispatch.Presence) error
	Step(ctx context.Context, p dispatch.Progress) error
	Log(ctx context.Context, c dispatch.Chunk) (have int64, err error)
	End(ctx context.Context, r dispatch.Result) error
}

// Workspaces are where attempts find the files of their commit. What Open
// returns belongs to the attempt until it calls close, once. Reap removes what
// belongs to no attempt for whose name, as in the request, running is true.
//
// Reopen finds the workspace that an earlier process opened for the equal request.
type Workspaces interface {
	Open(ctx context.Context, want source.Request) (ws source.Workspace, close func() error, err error)
	Reopen(ctx context.Context, want source.Request) (ws source.Workspace, close func() error, err error)
	Reap(ctx context.Context, running func(name string) bool) error
}

// An Executor runs commands. When ctx ends, Run stops what it started and
// returns once all of it is gone. Reap ends what earlier processes of this
// builder left running, except for the owners that running knows.
type Executor interface {
	Run(ctx context.Context, cmd executor.Command) (executor.Result, error)
	Reap(ctx context.Context, running func(owner string) bool) (int, error)
}

// A ContainerExecutor runs commands in containers and makes images for them, if
// its engine answers. Resume stays with a container that Run told an earlier
// process of (Command.Begin), as Run would have, and gives its whole output to
// the writers; what it cannot be sure of is an error.
type ContainerExecutor interface {
	Executor
	Images
	Available(ctx context.Context) error
	Resume(ctx context.Context, container string, cmd executor.Command) (executor.Result, error)
}

// A Sealer encrypts what lies on the disk until the next process opens it, which
// fails if it was altered.
type Sealer interface {
	Seal(plain []byte) ([]byte, error)
	Open(sealed []byte) ([]byte, error)
}

// A Keeper keeps what attempts leave for others, and hands it out. What an attempt
// may have is its assignment's to say. An error that is a *KeepError says that
// asking again is of no use; ErrNothingKept, that there is nothing; ErrNoFiles, that an
// earlier task kept that it had nothing. A reader's end
// is an error unless all of it came, as it was kept. Kept is durable when a call
// returns nil.
type Keeper interface {
	Artifacts(ctx context.Context, a dispatch.Assignment, of dispatch.Need) (io.ReadCloser, error)
	KeepArtifacts(ctx context.Context, a dispatch.Assignment, p Pack) error
	Cache(ctx context.Context, a dispatch.Assignment, name string) (io.ReadCloser, error)
	KeepCache(ctx context.Context, a dispatch.Assignment, name string, p Pack) error
}

// Images builds and pushes container images. What Build made, Run finds under
// its tags. Login only asks whether a registry lets somebody in, and returns the
// login as Run, Build and Push are given it each time. Errors are *executor.ImageError when it is the
// task that has to change.
type Images interface {
	Login(ctx context.Context, l executor.Login) (executor.Login, error)
	Build(ctx context.Context, b executor.ImageBuild) ([]executor.Image, error)
	Push(ctx context.Context, p executor.ImagePush) ([]executor.Image, error)
}

// Projects run Compose projects. When ctx ends, Run stops what it started and
// returns once all of it is gone; what an earlier process left is removed by the
// ContainerExecutor of the same engine.
type Projects interface {
	Run(ctx context.Context, p executor.Project) (executor.Result, error)
}

// Files fetches an executable by its https address and its SHA-256, and returns
// its path on this machine.
type Files interface {
	Get(ctx context.Context, address, sum string) (path string, err error)
}

// A Builder runs attempts, each in a goroutine of its own. Its exported fields
// are set before it is used and not changed after. It is a dispatch.Worker.
type Builder struct {
	Name     string // unique among the builders that share a machine: Reap goes by it
	Boot     string // differs after every start
	Capacity int    // attempts at the same time

	Labels    map[string]string // what tasks select builders by
	Untrusted bool              // for untrusted code: each workspace gets its own copy of all it refers to
	Version   string            // of the program, for people

	Architect  Architect
	Workspaces Workspaces
	// Source is where an assignment's commit is fetched from. Nil is for builders on
	// the architect's machine, where the assignment itself says so.
	Source func(dispatch.Assignment) (address string, err error)

	Keeper  Keeper // nil: artifacts and caches are not to be had
	InPlace bool   // all tasks share one work tree: what they leave for each other is there

	Host          Executor          // nil: steps without an image are refused
	Docker        ContainerExecutor // nil: steps with an image are refused
	Compose       Projects          // nil: compose steps are refused
	HostForImages bool              // steps with an image run on the host, too

	// Floor says why the engine of Docker is too old for code of strangers, which is
	// refused then. An error that is executor.ErrEngine says that none answered. Nil:
	// any engine will do.
	Floor func(context.Context) error

	Files    Files         // executables from the network; nil: none are fetched
	SpoolDir string        // an existing directory of this builder alone
	Memory   string        // an existing directory that is in memory, for the files of secrets; "": steps that ask for them fail
	Grace    time.Duration // between asking a process to end and making it
	Log      *slog.Logger
	Now      func() time.Time

	// Keep is how long the result and the log of an attempt that has ended are
	// kept, across restarts and power cuts, for an architect that does not answer.
	// 0 is for a builder that ends with its architect: nothing outlives it.
	Keep time.Duration
	// Sealer makes steps in containers outlive this process: its successor takes
	// them up again. Nil, or without Keep: they are interrupted.
	Sealer Sealer
	// Lease is how long the builder takes work without having been heard; 0 is for
	// ever. What runs goes on: the architect may only be restarting.
	Lease time.Duration

	Limit          time.Duration // most that an attempt may take; 0 is no limit
	LogLimit       int64         // most bytes of log a step keeps; 0 is the spool's own limit
	WorkspaceLimit int64         // most bytes on the disk that a workspace may take; 0 is no limit
	DiskFloor      int64         // bytes free below which it takes nothing new; 0 is no floor
	SpoolLimit     int64         // bytes of logs at which it takes nothing new; 0 is no limit

	pace pace

	mu       sync.Mutex
	slots    map[dispatch.Attempt]*slot
	ended    []dispatch.Attempt // the last ones, so that none is begun twice
	draining bool
	halted   bool
	unfit    string        // why nothing new is taken for now; "" if it is
	old      string        // why the engine is too old for code of strangers; "" if it is not, or not known
	heard    time.Time     // the architect answered last; zero before Run
	free     int64         // bytes on the disk; 0 if not known
	fetched  []string      // names of repositories, the one used last at the end
	left     chan struct{} // closed and renewed when an attempt ends or leaves its slot
	attempts sync.WaitGroup
	orphans  []*orphan // attempts of an earlier process that Run takes up
}
