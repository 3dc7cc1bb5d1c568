package docker

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/distribution/reference"

	"github.com/velocity-ci/velocity/builder/executor"
)

// Processes run a command on this machine, as builder/host does, and end what an
// earlier process of this builder left running.
type Processes interface {
	Run(ctx context.Context, cmd executor.Command) (executor.Result, error)
	Reap(ctx context.Context, running func(owner string) bool) (int, error)
}

// Buildx is the docker buildx plugin. Without a Path the engine's own builder is
// used.
type Buildx struct {
	Path      string    // absolute, of the plugin's program
	Processes Processes // of the same builder; their environment has no credentials
	// Private is the directory for the credentials of running builds, in memory if
	// the machine has such a place. Each build has one of its own in it.
	Private string
}

// privatePrefix begins the names of the directories in Buildx.Private.
const privatePrefix = "velocity-docker-"

// buildWithPlugin builds by docker buildx, run as a program of its own, in the
// engine's BuildKit. The plugin finds neither the user's settings nor their
// logins. The engine gives BuildKit no limits of memory.
func (e *Executor) buildWithPlugin(ctx context.Context, b executor.ImageBuild, tags []reference.NamedTagged) (id string, err error) {
	dir, err := e.privateDir(b.Owner)
	if err != nil {
		return "", broke("make a private directory", err)
	}
	defer os.RemoveAll(dir)
	if err := writeConfig(dir, b.Logins); err != nil {
		return "", broke("write logins", err)
	}
	idFile := filepath.Join(dir, "image")
	argv, secrets := e.buildxCommand(b, tags, idFile)
	result, err := e.buildx.Processes.Run(ctx, executor.Command{
		Owner: b.Owner, Argv: argv, Workspace: b.Workspace,
		Env: append(secrets,
			"HOME="+dir, "TMPDIR="+dir, "DOCKER_CONFIG="+dir, "DOCKER_HOST="+e.api.DaemonHost(),
			"BUILDX_NO_DEFAULT_ATTESTATIONS=1", // the engine could not store them
		),
		Stdout: b.Stdout, Stderr: b.Stderr, Grace: b.Grace,
	})
	switch {
	case err != nil:
		return "", err
	case result.Exit != 0:
		return "", buildRefused("docker buildx ended with exit " + strconv.Itoa(result.Exit))
	}
	text, err := os.ReadFile(idFile)
	if err != nil {
		return "", broke("read the image's id", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// buildxCommand is the command line, on which secrets are only named, and the
// variables that hold them. Every value is bound to its option.
func (e *Executor) buildxCommand(b executor.ImageBuild, tags []reference.NamedTagged, idFile string) (argv, env []string) {
	argv = []string{e.buildx.Path, "build", "--progress=plain", "--iidfile=" + idFile}
	for name, value := range imageLabels() {
		argv = append(argv, "--label="+name+"="+value)
	}
	for _, tag := range names(tags) {
		argv = append(argv, "--tag="+tag)
	}
	if b.Target != "" {
		argv = append(argv, "--target="+b.Target)
	}
	for _, arg := range b.Args {
		argv = append(argv, "--build-arg="+arg)
	}
	for i, secret := range b.Secrets {
		variable := "VELOCITY_BUILD_SECRET_" + strconv.Itoa(i)
		argv = append(argv, "--secret=id="+secret.Name+",env="+variable)
		env = append(env, variable+"="+secret.Value)
	}
	for _, platform := range b.Platforms {
		argv = append(argv, "--platform="+platform)
	}
	argv = append(argv, "--file="+filepath.Join(b.Workspace, filepath.FromSlash(b.Dockerfile)))
	return append(argv, "--", filepath.Join(b.Workspace, filepath.FromSlash(b.Context))), env
}

// privateDir makes a directory that only this user can look into, and that Reap
// knows to be the owner's.
func (e *Executor) privateDir(o executor.Owner) (string, error) {
	if err := os.MkdirAll(e.buildx.Private, 0o700); err != nil {
		return "", err
	}
	return os.MkdirTemp(e.buildx.Private, privatePrefix+url.PathEscape(o.String())+"~")
}

// writeConfig writes logins as the docker command keeps them.
func writeConfig(dir string, logins []executor.Login) error {
	type entry struct {
		Auth string `json:"auth"`
	}
	config := struct {
		Auths map[string]entry `json:"auths"`
	}{map[string]entry{}}
	for _, l := range logins {
		config.Auths[loginKey(l.Registry)] = entry{base64.StdEncoding.EncodeToString([]byte(l.Username + ":" + l.Password))}
	}
	data, err := json.Marshal(config)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "config.json"), data, 0o600)
}

// reapPlugin ends plugins that an earlier process of this builder left running
// and removes the credentials that they had.
func (e *Executor) reapPlugin(ctx context.Context, running func(owner string) bool) (int, error) {
	if e.buildx.Processes == nil {
		return 0, nil
	}
	removed, err := e.buildx.Processes.Reap(ctx, running)
	entries, readErr := os.ReadDir(e.buildx.Private)
	if errors.Is(readErr, fs.ErrNotExist) {
		readErr = nil
	}
	err = errors.Join(err, readErr)
	for _, entry := range entries {
		name, ours := strings.CutPrefix(entry.Name(), privatePrefix)
		name, _, _ = strings.Cut(name, "~")
		owner, badName := url.PathUnescape(name)
		if !ours || badName != nil || !strings.HasPrefix(owner, e.builder+"/") || running(owner) {
			continue
		}
		if rmErr := os.RemoveAll(filepath.Join(e.buildx.Private, entry.Name())); rmErr != nil {
			err = errors.Join(err, fmt.Errorf("remove old credentials: %w", rmErr))
			continue
		}
		removed++
	}
	return removed, err
}
