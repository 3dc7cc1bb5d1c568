// Package docker runs one step in one container of a Docker engine.
//
// What it promises: the command sees the workspace and the read-only
// directories it was given and nothing else of this machine; every byte it
// printed reaches the writers before its container is removed; an engine that
// vanishes is an error and never a pass; and whatever was made on an attempt's
// behalf carries the attempt's labels, so that Reap finds what a dead builder
// left behind. In a container of the same engine it works by that engine's names
// for its files, and refuses what the engine could not show to others.
//
// What cannot be said here cannot be asked for: there is no way to name a
// privileged container, a device, a capability, a host namespace or a mount
// other than the workspace and the read-only directories. Files go in and out
// through the workspace's bind mount alone; the engine's archive calls (docker
// cp) are never used, since they act as root on a tree the step controls.
//
// Files a step writes must be deletable by the builder afterwards. A builder
// that runs as root can always do that. One that does not runs steps without a
// user of their own as its own uid and gid, with HOME=/tmp unless the step sets
// it; on a rootless engine, where the container's root already is that user, the
// image's own user is kept.
package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/docker/docker/client"

	"github.com/velocity-ci/velocity/builder/executor"
)

// defaultPIDs leaves a parallel compiler alone and still ends a fork bomb.
const defaultPIDs = 4096

// Limits bound what one step's container may use.
type Limits struct {
	PIDs   int64   // processes and threads; 0 means 4096, there is no "unlimited"
	Memory int64   // bytes, swap included; 0 sets no limit
	CPUs   float64 // cores, such as 1.5; 0 sets no limit
}

// Config says which engine to use and on whose behalf.
type Config struct {
	Engine  []client.Opt // how to reach the engine; as the environment says if there are none
	Builder string       // name by which Reap knows this builder's containers
	Limits  Limits
	Buildx  Buildx // what builds images; the engine itself if there is none
	Log     *slog.Logger
}

// An Executor runs commands in containers. It is safe for concurrent use.
type Executor struct {
	api      *client.Client
	builder  string
	limits   Limits
	buildx   Buildx
	log      *slog.Logger
	uid, gid int
	patience time.Duration // see its constant
	pause    func(context.Context, time.Duration) error

	mu       sync.Mutex
	rootless *bool  // nil until the engine was asked
	proc     string // where the kernel tells of this process, until the engine was asked; see around
	own      *own   // what this process runs in; nil if that is not the engine's
}

// New checks the connection options and dials nothing: whether an engine answers
// is for Available to say.
func New(c Config) (*Executor, error) {
	if len(c.Engine) == 0 {
		c.Engine = []client.Opt{client.FromEnv}
	}
	api, err := client.NewClientWithOpts(append([]client.Opt{client.WithAPIVersionNegotiation()}, c.Engine...)...)
	if err != nil {
		return nil, fmt.Errorf("connect to the Docker engine: %w", err)
	}
	if c.Limits.PIDs <= 0 {
		c.Limits.PIDs = defaultPIDs
	}
	return &Executor{
		api: api, builder: c.Builder, limits: c.Limits, buildx: c.Buildx, log: c.Log,
		uid: os.Getuid(), gid: os.Getgid(), patience: patience, pause: pause,
		proc: "/proc",
	}, nil
}

// Limits are those that a container is held to.
func (e *Executor) Limits() Limits { return e.limits }

// Available returns nil when the engine answers. Otherwise the error is an
// *executor.StartError that also is executor.ErrEngine: nothing was started, and
// it is not the step's doing.
func (e *Executor) Available(ctx context.Context) error {
	if _, err := e.api.Ping(ctx); err != nil {
		return noEngine(err)
	}
	return nil
}

// noEngine is the answer to a step that names an image where no engine is, or
// none that this user may use.
func noEngine(err error) error {
	hint := "start it, use --executor host, or name no image"
	if errors.Is(err, fs.ErrPermission) {
		hint = "let this user use it, as members of the group docker may, or use --executor host"
	}
	return &executor.StartError{What: "no Docker engine: " + err.Error(), Hint: hint, Err: errors.Join(executor.ErrEngine, err)}
}

// broke marks err as the machinery's failure while doing what verb says.
func broke(verb string, err error) error {
	return fmt.Errorf("%s: %w: %w", verb, executor.ErrEngine, err)
}

// engineRootless asks once whether the container's root is the engine's own
// unprivileged user.
func (e *Executor) engineRootless(ctx context.Context) (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.rootless != nil {
		return *e.rootless, nil
	}
	info, err := e.api.Info(ctx)
	if err != nil {
		return false, err
	}
	rootless := slices.Contains(info.SecurityOptions, "name=rootless")
	e.rootless = &rootless
	return rootless, nil
}
