package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"github.com/velocity-ci/velocity/builder/executor"
)

// An own is the container in which this process runs, made by the engine that it
// talks to. That engine knows its files under other names; see shown.go.
type own struct {
	mounts []mounted                       // all that this process sees
	given  map[string]container.MountPoint // those that the engine was asked for, by where they are
}

// around returns the container in which this process runs if the engine made it,
// and otherwise nil. The engine is asked once, and never by a process on a machine.
func (e *Executor) around(ctx context.Context) (*own, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.proc == "" {
		return e.own, nil
	}
	found, err := e.findOwn(ctx)
	if err != nil {
		return nil, err
	}
	e.proc, e.own = "", found
	return found, nil
}

func (e *Executor) findOwn(ctx context.Context) (*own, error) {
	self, err := readSelf(e.proc)
	if err != nil {
		return nil, broke("find out what this process runs in", err)
	}
	candidates, err := e.candidates(ctx, self.ids)
	if err != nil {
		return nil, noEngine(err)
	}
	var fitting []*own
	for _, c := range candidates {
		if o, ok := self.in(c); ok {
			fitting = append(fitting, o)
		}
	}
	switch {
	case len(candidates) == 0: // on a machine, or in another engine's container
		return nil, nil
	case len(fitting) != 1:
		return nil, &executor.StartError{
			What: fmt.Sprintf("the builder runs in a container of this engine, and %d of its containers could be that", len(fitting)),
			Hint: "give it a network of its own, and no two containers the same volumes",
		}
	}
	return fitting[0], nil
}

// candidates are the containers of the engine that go by these ids, and those that
// share their networks: they have files of their networks in common, too.
func (e *Executor) candidates(ctx context.Context, ids []string) (all []container.InspectResponse, err error) {
	add := func(id string) error {
		c, err := e.api.ContainerInspect(ctx, id)
		if cerrdefs.IsNotFound(err) {
			return nil
		}
		if err == nil {
			all = append(all, c)
		}
		return err
	}
	for _, id := range ids {
		if err := add(id); err != nil {
			return nil, err
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	others, err := e.api.ContainerList(ctx, container.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, o := range others {
		host, shares := strings.CutPrefix(o.HostConfig.NetworkMode, "container:")
		if shares && slices.Contains(ids, host) && !slices.Contains(ids, o.ID) {
			if err := add(o.ID); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// A self is what the kernel tells of this process.
type self struct {
	mounts []mounted
	ids    []string // of containers that it may be in, as engines write them
}

// containerID is how engines write an id in full.
var containerID = regexp.MustCompile(`[0-9a-f]{64}`)

// readSelf looks below proc. What is not there, as on systems without it, names no
// container.
func readSelf(proc string) (*self, error) {
	text, err := os.ReadFile(filepath.Join(proc, "self", "mountinfo"))
	if errors.Is(err, fs.ErrNotExist) {
		return &self{}, nil
	}
	if err != nil {
		return nil, err
	}
	s := &self{}
	if s.mounts, err = parseMounts(string(text)); err != nil {
		return nil, err
	}
	groups, err := os.ReadFile(filepath.Join(proc, "self", "cgroup"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for line := range strings.Lines(string(groups)) {
		s.add(line)
	}
	// Engines give containers these files, from a folder that is named by the id.
	for _, m := range s.mounts {
		if slices.Contains([]string{"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"}, m.point) {
			s.add(m.root)
		}
	}
	return s, nil
}

// add takes the id of the innermost container out of a path.
func (s *self) add(path string) {
	if found := containerID.FindAllString(path, -1); len(found) > 0 && !slices.Contains(s.ids, found[len(found)-1]) {
		s.ids = append(s.ids, found[len(found)-1])
	}
}

// in reports whether this process can be in container c: it runs, its file system is
// the one seen here, and all its mounts are seen here. The ids alone prove nothing:
// containers that share a network bear the id of the first.
func (s *self) in(c container.InspectResponse) (*own, bool) {
	root, ok := innermost(s.mounts, "/")
	if !ok || c.State == nil || !c.State.Running {
		return nil, false
	}
	if upper := c.GraphDriver.Data["UpperDir"]; upper != "" && root.upper != "" && !sameUpper(upper, root.upper) {
		return nil, false
	}
	o := &own{mounts: s.mounts, given: map[string]container.MountPoint{}}
	for _, m := range c.Mounts {
		at := filepath.Clean(m.Destination)
		if real, err := filepath.EvalSymlinks(at); err == nil { // else it is seen as it stands, or not at all
			at = real
		}
		found, ok := innermost(s.mounts, at)
		if !ok || found.point != at || !sameVolume(m, found) {
			return nil, false
		}
		o.given[at] = m
	}
	return o, true
}

// sameUpper compares an overlay's folder, as the engine tells it, with what it told
// the kernel, which may be without the folder of all overlays.
func sameUpper(told, seen string) bool { return told == seen || strings.HasSuffix(told, "/"+seen) }

// sameVolume reports whether a mount that is seen can be the volume that the engine
// tells of, if it is one: a folder named for the volume, or a file system of its own.
func sameVolume(m container.MountPoint, seen mounted) bool {
	return m.Type != mount.TypeVolume || seen.root == "/" || m.Name == "" || strings.Contains(seen.root+"/", "/"+m.Name+"/")
}
