// Package compose runs a Compose project by the docker compose plugin, as a
// program of its own.
//
// What it promises: no file outside the workspace is read or mounted on a
// project's behalf, whatever its Compose file and the files it names say; what
// reaches the engine is the plugin's own expansion of the project, in which
// every field was looked at and those that are not known to be harmless were
// refused; and all that is made bears the attempt's labels, by which it is
// removed at the end or, after a crash, by whoever reaps the engine.
//
// The plugin's processes see neither the environment of the task nor the
// settings of the user: values for the Compose file come from a private file.
package compose

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/velocity-ci/velocity/builder/executor"
)

// Processes run a command on this machine, as builder/host does.
type Processes interface {
	Run(ctx context.Context, cmd executor.Command) (executor.Result, error)
}

// An Engine is the Docker engine beside the plugin.
type Engine interface {
	// Address is where the plugin finds the engine, as in DOCKER_HOST.
	Address() string
	// Labels are what marks all that belongs to an owner.
	Labels(o executor.Owner) map[string]string
	// Source is where the engine finds a file or folder of this process, to mount it
	// for containers, and whether they may only read there. The error says why it
	// cannot.
	Source(ctx context.Context, path string) (source string, readOnly bool, err error)
	// PrivateDir makes a directory for the owner that is also a configuration of
	// the docker command, with logins. The caller removes it.
	PrivateDir(o executor.Owner, logins []executor.Login) (string, error)
	// Deaths sends something after a container of the owner ended, until ctx ends.
	// It returns once none can be missed.
	Deaths(ctx context.Context, o executor.Owner) <-chan struct{}
	// Containers lists those of the owner.
	Containers(ctx context.Context, o executor.Owner) ([]executor.Container, error)
	// RemoveAll removes whatever bears the owner's labels.
	RemoveAll(ctx context.Context, o executor.Owner) error
}

// Limits bound what each service may use.
type Limits struct {
	PIDs   int64   // processes and threads; always some
	Memory int64   // bytes, swap included; 0 sets no limit
	CPUs   float64 // cores; 0 sets no limit
}

// An Executor runs projects. It is safe for concurrent use, and its fields do not
// change once it is used.
type Executor struct {
	Path      string // absolute, of the plugin's program
	Buildx    string // absolute, of the docker buildx plugin; "" has the engine's own builder build
	Processes Processes
	Engine    Engine
	Limits    Limits
	Log       *slog.Logger

	mu      sync.Mutex
	checked bool // the plugin is new enough
}

// removeTime bounds the removal of what a project made: an engine that hangs
// must not hold the builder's slot.
const removeTime = 30 * time.Second

// Run runs the project until the service that counts has ended, or, if none does,
// until one failed or all have ended. It returns once all that was made for it is
// gone.
//
// The error is an *executor.StartError if the project was refused or its files
// cannot be read, wraps executor.ErrEngine if the machinery broke, and is the
// cause of ctx if that ended first.
func (e *Executor) Run(ctx context.Context, p executor.Project) (executor.Result, error) {
	dir, err := e.Engine.PrivateDir(p.Owner, p.Logins)
	if err != nil {
		return executor.Result{}, broke("make a private directory", err)
	}
	defer os.RemoveAll(dir)
	r := &run{Executor: e, project: p, dir: dir}
	if err := r.checkVersion(ctx); err != nil {
		return executor.Result{}, err
	}
	if err := r.prepare(ctx); err != nil {
		return executor.Result{}, err
	}
	defer r.remove(ctx)
	return r.up(ctx)
}

func broke(verb string, err error) error {
	return fmt.Errorf("%s: %w: %w", verb, executor.ErrEngine, err)
}

// A run is one project on its way.
type run struct {
	*Executor
	project executor.Project
	dir     string // private
	checked *checked
}

// command is a call of the plugin.
func (r *run) command(stdout, stderr io.Writer, args ...string) executor.Command {
	return executor.Command{
		Owner: r.project.Owner, Argv: append([]string{r.Path}, args...), Workspace: r.project.Workspace,
		Env: r.environment(), Stdout: stdout, Stderr: stderr, Grace: r.project.Grace,
	}
}

// environment is what the plugin sees. A .env file of the workspace sets what
// begins with COMPOSE_ unless it is set here.
func (r *run) environment() []string {
	env := []string{
		"HOME=" + r.dir, "TMPDIR=" + r.dir, "XDG_CACHE_HOME=" + r.dir, "XDG_RUNTIME_DIR=" + r.dir,
		"DOCKER_CONFIG=" + r.dir, "DOCKER_HOST=" + r.Engine.Address(), "DOCKER_CONTEXT=",
		// Nothing is fetched to be part of the Compose file, least of all by git.
		"COMPOSE_EXPERIMENTAL_GIT_REMOTE=false", "COMPOSE_EXPERIMENTAL_OCI_REMOTE=false",
		"COMPOSE_EXPERIMENTAL=false", "COMPOSE_MENU=false", "COMPOSE_IGNORE_ORPHANS=true",
	}
	if r.Buildx == "" {
		return append(env, "COMPOSE_BAKE=false", "DOCKER_BUILDKIT=0")
	}
	return append(env, "COMPOSE_BAKE=true", "DOCKER_BUILDKIT=1", "BUILDX_NO_DEFAULT_ATTESTATIONS=1")
}

// The oldest plugin whose expansion is what the rules know.
const minMajor, minMinor = 2, 20

func (r *run) checkVersion(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Executor.checked {
		return nil
	}
	said := &bounded{most: 4 << 10}
	result, err := r.Processes.Run(ctx, r.command(said, said, "version", "--short"))
	if err != nil {
		return err
	}
	version := strings.TrimSpace(said.String())
	if result.Exit != 0 || !newEnough(version) {
		return &executor.StartError{
			What: fmt.Sprintf("this builder has no docker compose plugin (version %d.%d or newer)", minMajor, minMinor),
			Hint: fmt.Sprintf("%s says that it is %q", r.Path, version),
		}
	}
	r.Executor.checked = true
	return nil
}

// newEnough reads a version such as 2.40.3 or v2.20.0-desktop.1. One that was
// built from source without a number says "dev".
func newEnough(version string) bool {
	if version == "dev" || version == "(devel)" {
		return true
	}
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(parts) < 2 {
		return false
	}
	major, err := strconv.Atoi(parts[0])
	minor, minorErr := strconv.Atoi(parts[1])
	return errors.Join(err, minorErr) == nil && (major > minMajor || major == minMajor && minor >= minMinor)
}

// remove removes all that the project made. What it cannot remove now is left to
// whoever reaps the engine.
func (r *run) remove(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTime)
	defer cancel()
	if err := r.Engine.RemoveAll(ctx, r.project.Owner); err != nil {
		r.Log.Warn("compose project left behind", slog.String("owner", r.project.Owner.String()), slog.Any("error", err))
	}
}

// prepare has the plugin expand the project, checks it, and leaves what is to be
// run in the private directory.
func (r *run) prepare(ctx context.Context) error {
	files, err := findFiles(r.project.Workspace, r.project.File)
	if err != nil {
		return err
	}
	if err := os.WriteFile(r.path("variables"), dotenv(r.project.Env), 0o600); err != nil {
		return broke("write variables", err)
	}
	expanded, err := r.expand(ctx, files)
	if err != nil {
		return err
	}
	r.checked, err = check(expanded, policy{
		root: files.root, project: projectName(r.project.Owner), labels: r.Engine.Labels(r.project.Owner), limits: r.Limits,
		source: func(path string) (string, bool, error) { return r.Engine.Source(ctx, path) },
	})
	if err != nil {
		return err
	}
	if err := r.checkService(); err != nil {
		return err
	}
	if err := os.WriteFile(r.path("project.json"), r.checked.json, 0o600); err != nil {
		return broke("write the checked project", err)
	}
	if r.Buildx == "" {
		return nil
	}
	if err := os.Mkdir(r.path("cli-plugins"), 0o700); err != nil {
		return broke("provide the buildx plugin", err)
	}
	if err := os.Symlink(r.Buildx, r.path("cli-plugins/docker-buildx")); err != nil {
		return broke("provide the buildx plugin", err)
	}
	return nil
}

func (r *run) path(name string) string { return filepath.Join(r.dir, filepath.FromSlash(name)) }

// checkService refuses a service that is not one of the project's.
func (r *run) checkService() error {
	if r.project.Service == "" || r.checked.services[r.project.Service] > 0 {
		return nil
	}
	return &executor.StartError{
		What: fmt.Sprintf("service %q is not in %s, or in none of its active profiles", r.project.Service, r.project.File),
		Hint: "service names the one whose exit code counts",
	}
}

// maxExpanded bounds the plugin's expansion of a project, in bytes.
const maxExpanded = 4 << 20

// expand returns the project as the plugin understands it.
func (r *run) expand(ctx context.Context, files files) ([]byte, error) {
	args := []string{"--project-name=" + projectName(r.project.Owner), "--project-directory=" + files.dir}
	if files.dotenv != "" {
		args = append(args, "--env-file="+files.dotenv)
	}
	args = append(args, "--env-file="+r.path("variables"), "--file="+files.compose, "config", "--format=json")
	out, said := &bounded{most: maxExpanded}, &bounded{most: 4 << 10}
	result, err := r.Processes.Run(ctx, r.command(out, said, args...))
	switch {
	case err != nil:
		return nil, err
	case result.Exit != 0:
		return nil, &executor.StartError{What: fmt.Sprintf("%s: %s", r.project.File, strings.TrimSpace(said.String()))}
	case out.cut:
		return nil, &executor.StartError{What: fmt.Sprintf("%s: it expands to more than %d MiB", r.project.File, maxExpanded>>20)}
	}
	return out.Bytes(), nil
}

// projectName is a name that no other attempt's project has.
func projectName(o executor.Owner) string {
	name := fmt.Sprintf("velocity-%s-%s-%s-%d", o.Builder, o.Build, o.Task, o.Attempt)
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '_'
	}, strings.ToLower(name))
}

// dotenv writes variables so that the plugin reads them back byte by byte.
func dotenv(env []string) []byte {
	var text strings.Builder
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		fmt.Fprintf(&text, "%s=\"%s\"\n", name, strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`).Replace(value))
	}
	return []byte(text.String())
}
