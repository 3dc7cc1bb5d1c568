package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"

	"github.com/velocity-ci/velocity/builder/executor"
)

// Source is where the engine finds a file or folder of this process, to mount it
// for a container: path itself, unless this process runs in a container of that
// engine. readOnly says that this process may only read there, and so nobody more
// on its behalf. What holds further mounts is refused. The error is an
// *executor.StartError.
func (e *Executor) Source(ctx context.Context, path string) (source string, readOnly bool, err error) {
	all, err := e.show(ctx, path, "/", false)
	switch {
	case err != nil:
		return "", false, err
	case len(all) > 1:
		return "", false, cannotShow(path, fmt.Errorf("%s is mounted in it", filepath.Join(path, all[1].Target)))
	}
	return all[0].Source, all[0].ReadOnly, nil
}

// Shows returns nil if what is made in dir can be shown to containers; dir itself
// need not be there yet. The error is an *executor.StartError, and wraps
// executor.ErrEngine if no engine answers.
func (e *Executor) Shows(ctx context.Context, dir string) error {
	o, err := e.around(ctx)
	if o == nil || err != nil {
		return err
	}
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		real, err := filepath.EvalSymlinks(at)
		if errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at) {
			continue
		}
		if err == nil {
			_, _, err = o.place(real)
		}
		if err != nil {
			return cannotShow(dir, err)
		}
		return nil
	}
}

// show lists the mounts by which a container sees at target what this process sees
// at dir.
func (e *Executor) show(ctx context.Context, dir, target string, readOnly bool) ([]mount.Mount, error) {
	o, err := e.around(ctx)
	if err != nil {
		return nil, err
	}
	if o == nil {
		return []mount.Mount{{Type: mount.TypeBind, Source: dir, Target: target, ReadOnly: readOnly}}, nil
	}
	all, err := o.show(dir, target, readOnly)
	if err != nil {
		return nil, cannotShow(dir, err)
	}
	return all, nil
}

// A hiddenError says why no other container can see something, and what helps.
type hiddenError struct{ why, hint string }

func (e *hiddenError) Error() string { return e.why }

// hidden is for what lies on a mount that only this container has.
func hidden(on mounted) error {
	if on.kind == "tmpfs" {
		return &hiddenError{
			why: "it is in that container's own memory",
			hint: "mount a volume in memory there: --mount type=volume,source=NAME,target=" + on.point +
				",volume-opt=type=tmpfs,volume-opt=device=tmpfs",
		}
	}
	return &hiddenError{
		why:  "it is on no volume",
		hint: "put it on one, or on a folder of the engine's machine, as in --volume velocity:/var/lib/velocity for a builder's state",
	}
}

// cannotShow is why a container is not made: what it would see in the folder's
// place is an empty one.
func cannotShow(dir string, why error) error {
	e := &executor.StartError{What: fmt.Sprintf("%s in the builder's container cannot be shown to other containers: %v", dir, why)}
	if h := (*hiddenError)(nil); errors.As(why, &h) {
		e.Hint = h.hint
	}
	return e
}

// show is the mount of dir, and those of what is mounted in it. Whoever is mounted
// for may write where this process may.
func (o *own) show(dir, target string, readOnly bool) ([]mount.Mount, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	source, onlyRead, err := o.place(real)
	if err != nil {
		return nil, err
	}
	all := []mount.Mount{{Type: mount.TypeBind, Source: source, Target: target, ReadOnly: readOnly || onlyRead}}
	for _, m := range o.mounts {
		if m.point == real || !within(real, m.point) {
			continue
		}
		source, onlyRead, err := o.place(m.point)
		if err == nil {
			err = plain(m.point)
		}
		if err != nil {
			return nil, fmt.Errorf("%s is mounted in it: %w", m.point, err)
		}
		rel, _ := filepath.Rel(real, m.point) // it lies within
		all = append(all, mount.Mount{
			Type: mount.TypeBind, Source: source, Target: path.Join(target, filepath.ToSlash(rel)), ReadOnly: readOnly || onlyRead,
		})
	}
	return all, nil
}

// plain refuses a mount that is no file or folder, such as the engine's own socket.
func plain(point string) error {
	info, err := os.Stat(point)
	if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		err = errors.New("it is no file or folder")
	}
	return err
}

// place is where the engine finds real, a path of this process without links.
func (o *own) place(real string) (source string, readOnly bool, err error) {
	on, ok := innermost(o.mounts, real)
	given, known := o.given[on.point]
	if !ok || !known {
		return "", false, hidden(on)
	}
	if err := bindable(given); err != nil {
		return "", false, err
	}
	rel, err := filepath.Rel(on.point, real)
	if err != nil || !filepath.IsLocal(rel) {
		return "", false, fmt.Errorf("it is not below %s", on.point)
	}
	source = filepath.Join(given.Source, rel)
	if source == "/" {
		return "", false, errors.New("it is all of the engine's machine")
	}
	return source, !given.RW, nil
}

// bindable says why a mount is no folder that the engine can mount for others.
func bindable(m container.MountPoint) error {
	switch {
	case m.Type == mount.TypeVolume && m.Driver != "" && m.Driver != "local":
		return fmt.Errorf("its volume %s has the driver %s, and only those of the driver local are folders of the engine's machine", m.Name, m.Driver)
	case m.Type == mount.TypeBind, m.Type == mount.TypeVolume:
		if filepath.IsAbs(m.Source) && filepath.Clean(m.Source) == m.Source {
			return nil
		}
	}
	return fmt.Errorf("it is on a mount of the type %s, which is no folder of the engine's machine", m.Type)
}
