package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"

	"github.com/velocity-ci/velocity/builder/executor"
)

// Labels by which Reap finds what belongs to whom.
const (
	labelBuilder = "velocity.builder"
	labelBuild   = "velocity.build"
	labelTask    = "velocity.task"
	labelAttempt = "velocity.attempt"
)

// A spec is a container as the engine is asked to make it.
type spec struct {
	config  *container.Config
	host    *container.HostConfig
	network *network.NetworkingConfig // nil is as host says
	logins  []executor.Login          // for fetching the image
}

// newSpec turns cmd into a container, or says with a *executor.StartError why
// it must not become one.
func (e *Executor) newSpec(ctx context.Context, cmd executor.Command) (spec, error) {
	if err := check(cmd); err != nil {
		return spec{}, err
	}
	user, env, err := e.identity(ctx, cmd)
	if err != nil {
		return spec{}, err
	}
	seen, err := e.mounts(ctx, cmd)
	if err != nil {
		return spec{}, err
	}
	return spec{
		config: &container.Config{
			Image:        cmd.Image,
			Entrypoint:   cmd.Argv, // the image's own would swallow the command as its arguments
			Env:          env,
			User:         user,
			WorkingDir:   path.Join(cmd.MountPoint, cmd.Dir),
			Labels:       labels(e.builder, cmd.Owner),
			AttachStdout: true,
			AttachStderr: true,
			Healthcheck:  &container.HealthConfig{Test: []string{"NONE"}},
		},
		host:   e.confine(seen, cmd.Network, logConfig(cmd)),
		logins: cmd.Logins,
	}, nil
}

// confine is what every container of a step is held in.
func (e *Executor) confine(mounts []mount.Mount, network string, log container.LogConfig) *container.HostConfig {
	return &container.HostConfig{
		Mounts:      mounts,
		NetworkMode: container.NetworkMode(network),
		CapDrop:     []string{"NET_RAW", "MKNOD"},
		SecurityOpt: []string{"no-new-privileges"},
		Resources:   e.resources(),
		LogConfig:   log,
		// As process 1 a shell would ignore TERM and leave zombies behind.
		Init: new(true),
	}
}

func (e *Executor) resources() container.Resources {
	return container.Resources{
		PidsLimit:  &e.limits.PIDs,
		Memory:     e.limits.Memory,
		MemorySwap: e.limits.Memory, // equal: none of it may be swap on top
		NanoCPUs:   int64(e.limits.CPUs * 1e9),
	}
}

// identity is the user a command runs as and the environment that goes with it.
func (e *Executor) identity(ctx context.Context, cmd executor.Command) (user string, env []string, err error) {
	if cmd.User != "" || e.uid == 0 {
		return cmd.User, cmd.Env, nil
	}
	rootless, err := e.engineRootless(ctx)
	if err != nil {
		return "", nil, noEngine(err)
	}
	if rootless {
		return "", cmd.Env, nil
	}
	// Unknown to the image, this user would get HOME=/, which it cannot write.
	env = append([]string{"HOME=/tmp"}, cmd.Env...)
	return strconv.Itoa(e.uid) + ":" + strconv.Itoa(e.gid), env, nil
}

func labels(builder string, o executor.Owner) map[string]string {
	return map[string]string{
		labelBuilder: builder,
		labelBuild:   o.Build,
		labelTask:    o.Task,
		labelAttempt: strconv.Itoa(o.Attempt),
	}
}

// mounts uses the structured form: the short one splits at colons, and makes a
// directory, owned by root, of a source that is missing.
func (e *Executor) mounts(ctx context.Context, cmd executor.Command) ([]mount.Mount, error) {
	all, err := e.show(ctx, cmd.Workspace, path.Clean(cmd.MountPoint), false)
	if err != nil {
		return nil, err
	}
	for _, dir := range cmd.ReadOnly {
		more, err := e.show(ctx, dir, dir, true)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// check refuses what must not or cannot reach the engine. It runs on final
// values, after every expansion.
func check(cmd executor.Command) error {
	if len(cmd.Argv) == 0 {
		return &executor.StartError{What: "no command to run"}
	}
	for _, word := range cmd.Argv {
		if !portable(word) {
			return unportable("argument", word)
		}
	}
	for _, entry := range cmd.Env {
		if !portable(entry) {
			name, _, _ := strings.Cut(entry, "=")
			return unportable("environment variable", name)
		}
	}
	if !ownNetwork(cmd.Network) {
		return &executor.StartError{
			What: fmt.Sprintf("network %q is not allowed", cmd.Network),
			Hint: "leave it out, or say none to cut the step off",
		}
	}
	if err := checkMountPoint(cmd.MountPoint); err != nil {
		return err
	}
	return checkDirs(cmd)
}

// ownNetwork reports whether name leaves the container a network namespace of
// its own: "host" is the machine's, and a colon, which no network's name has,
// leads into another container's.
func ownNetwork(name string) bool {
	return name != "host" && !strings.Contains(name, ":")
}

// portable reports whether s survives the engine's JSON interface and the
// kernel's strings unchanged: others would arrive altered or cut short.
func portable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}

func unportable(what, value string) error {
	return &executor.StartError{
		What: fmt.Sprintf("%s %q has bytes that a container cannot be given unchanged", what, value),
		Hint: "use UTF-8 without NUL, or pass a file",
	}
}

// checkMountPoint keeps the workspace, which the commit's author fills, from
// standing in for the whole image or for the kernel's file systems.
func checkMountPoint(target string) error {
	clean := path.Clean(target)
	top := "/" + strings.SplitN(strings.TrimPrefix(clean, "/"), "/", 2)[0]
	switch {
	case !path.IsAbs(target), clean == "/", top == "/proc", top == "/sys", top == "/dev":
		return &executor.StartError{
			What: fmt.Sprintf("workspace cannot be mounted at %q", target),
			Hint: "mountPoint is an absolute path such as /velocity_ci",
		}
	}
	return nil
}

func checkDirs(cmd executor.Command) error {
	for _, dir := range append([]string{cmd.Workspace}, cmd.ReadOnly...) {
		if !filepath.IsAbs(dir) || filepath.Clean(dir) != dir || dir == "/" {
			return &executor.StartError{What: fmt.Sprintf("directory %q cannot be given to a container", dir)}
		}
	}
	if cmd.Dir != "" && !filepath.IsLocal(cmd.Dir) {
		return &executor.StartError{
			What: fmt.Sprintf("working directory %q is outside the workspace", cmd.Dir),
			Hint: "workingDir is relative to the repository's root",
		}
	}
	root, err := os.OpenRoot(cmd.Workspace)
	if err != nil {
		return broke("open workspace", err)
	}
	defer root.Close()
	// The engine would silently make the directory. A link that leads out of
	// the workspace is for the container to follow, among its own files.
	if _, err := root.Stat(path.Join(".", cmd.Dir)); errors.Is(err, fs.ErrNotExist) {
		return &executor.StartError{
			What: fmt.Sprintf("working directory %q does not exist", cmd.Dir),
			Hint: "workingDir is relative to the repository's root",
			Err:  err,
		}
	}
	return nil
}
